"""What reads pictures for a method whose own network is trained on pixels: a size and a recipe, no features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from open_clip.transform import image_transform
from PIL import Image
from torch import Tensor

from core.backbones.contract import LayerTokens, Preprocessing


@dataclass(frozen=True)
class PixelReader:
    """See `PictureReader`; nothing of it is kept, so it has no checksum of its own."""

    preprocessing: Preprocessing
    device: torch.device
    joint_width: int
    checksum: str = field(default="", init=False)
    precision: str = field(default="fp32", init=False)
    unit_features: bool = field(default=False, init=False)

    @cached_property
    def _transform(self) -> Any:
        recipe = self.preprocessing
        return image_transform(
            recipe.size,
            is_train=False,
            mean=recipe.mean,
            std=recipe.std,
            resize_mode=recipe.resize,
            interpolation=recipe.interpolation,
        )

    def preprocess(self, image: Image.Image) -> Tensor:
        """RGB picture to float tensor (3, size, size)."""
        found: Tensor = self._transform(image.convert("RGB"))
        return found

    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        """Never asked: what such a method sees changes with each step."""
        raise NotImplementedError("a network that is trained on pixels has no frozen features")
