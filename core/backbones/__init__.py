"""Dual encoders behind one contract: where they come from, how they are opened up, what they offer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.backbones.catalogue import backbone_names, list_backbones
    from core.backbones.check import check_backbone
    from core.backbones.fetch import fetch_backbone
    from core.backbones.loading import load_backbone
    from core.backbones.open_clip_adapter import OpenClipBackbone
    from core.backbones.random_folder import build_random_backbone_folder, parity_backbone_folder

# Looked up on first use: the catalogue is light, everything that loads a model brings torch with it.
_WHERE = {
    "backbone_names": "core.backbones.catalogue",
    "list_backbones": "core.backbones.catalogue",
    "check_backbone": "core.backbones.check",
    "fetch_backbone": "core.backbones.fetch",
    "load_backbone": "core.backbones.loading",
    "OpenClipBackbone": "core.backbones.open_clip_adapter",
    "build_random_backbone_folder": "core.backbones.random_folder",
    "parity_backbone_folder": "core.backbones.random_folder",
}
__all__ = [
    "OpenClipBackbone",
    "backbone_names",
    "build_random_backbone_folder",
    "check_backbone",
    "fetch_backbone",
    "list_backbones",
    "load_backbone",
    "parity_backbone_folder",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
