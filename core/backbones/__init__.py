"""Dual encoders behind one contract: where they come from, how they are opened up, what they offer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.backbones.catalogue import backbone_names
    from core.backbones.loading import load_backbone

# Looked up on first use: the catalogue is light, everything that loads a model brings torch with it.
_WHERE = {
    "backbone_names": "core.backbones.catalogue",
    "load_backbone": "core.backbones.loading",
}
__all__ = ["backbone_names", "load_backbone"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
