"""The second image encoder that a method's options name."""

from __future__ import annotations

from pathlib import Path

import torch

from core.backbones.image_encoder import ImageEncoder, load_image_encoder
from core.tuning.config import MethodConfig


def encoder_name(config: MethodConfig) -> str:
    """The name or folder in the options; empty where they have none."""
    return str(getattr(config, "encoder", "")).strip()


def named_encoder(
    config: MethodConfig, device: torch.device, home: Path | None, folders: bool = True
) -> ImageEncoder | None:
    """That encoder, loaded, or None. Raises as `load_image_encoder` does."""
    name = encoder_name(config)
    return load_image_encoder(name, device=device, home=home, folders=folders) if name else None
