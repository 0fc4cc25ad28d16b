"""What part of a picture the model sees, so that maps, masks and pictures share one frame."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.backbones.contract import Preprocessing
from core.errors import InvalidInput


def field_of_view(
    picture: Image.Image, preprocessing: Preprocessing, size_px: int, resample: Image.Resampling | None = None
) -> Image.Image:
    """The square the model sees, as size_px x size_px: the centre square, or all of it where the recipe squashes."""
    if preprocessing.resize == "squash":
        box = (0, 0, picture.width, picture.height)
    else:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
    method = Image.Resampling.BICUBIC if resample is None else resample
    return picture.resize((size_px, size_px), method, box=box)


def mask_in_view(mask: Image.Image, picture: Image.Image, preprocessing: Preprocessing) -> np.ndarray | None:
    """A lesion mask as bool (size, size) in model input pixels; anything above 0 belongs to the region.

    None if nothing marked lies in the model's view. Raises InvalidInput for a mask of another size than the picture.
    """
    if mask.size != picture.size:
        raise InvalidInput(
            f"A mask is as large as its image, {picture.width} x {picture.height} px",
            f"found {mask.width} x {mask.height} px",
            "Give the mask of this image.",
        )
    if mask.mode in {"LA", "RGBA", "P"}:
        mask = mask.convert("RGB")
    grey = Image.fromarray(np.asarray(mask.convert("L")) > 0).convert("L")
    seen = np.asarray(field_of_view(grey, preprocessing, preprocessing.size, Image.Resampling.NEAREST)) > 0
    return seen if seen.any() else None
