"""Promptoscope's engine: image sets, descriptions, backbones, methods, evaluation and explanation.

    from core import ImageSet, load_backbone, train, load_model

The names are loaded when first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.backbones.loading import load_backbone
    from core.images.image_set import ImageSet
    from core.tuning.classifier import load_model
    from core.tuning.train import train

__all__ = ["ImageSet", "load_backbone", "load_model", "train"]

_HOMES = {
    "ImageSet": "core.images.image_set",
    "load_backbone": "core.backbones.loading",
    "load_model": "core.tuning.classifier",
    "train": "core.tuning.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
