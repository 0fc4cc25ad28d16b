"""What part of a picture the model sees, so that maps, masks and pictures share one frame."""

from __future__ import annotations

from PIL import Image

from core.backbones.contract import Preprocessing
from core.explain.frame import Frame


def field_of_view(
    picture: Image.Image, preprocessing: Preprocessing, size_px: int, resample: Image.Resampling | None = None
) -> Image.Image:
    """The square the model sees, as size_px x size_px: the centre square, or all of it where the recipe squashes."""
    box = Frame.of(picture.size, preprocessing).crop_box
    method = Image.Resampling.BICUBIC if resample is None else resample
    return picture.resize((size_px, size_px), method, box=box)
