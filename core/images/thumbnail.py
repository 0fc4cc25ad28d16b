"""Small copies of images for pages."""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image

from core.errors import InvalidInput
from core.images.decode import opened_picture
from core.images.limits import Limits
from core.images.picture import STRIP_PIXELS, Picture

MEDIA_TYPE = "image/png"
SMALLEST_PX, LARGEST_PX = 16, 1024


def thumbnail(path: str | Path, size_px: int = 160, limits: Limits | None = None) -> bytes:
    """A PNG copy whose longer side has at most `size_px` pixels; smaller images keep their size.

    The copy carries pixels only, none of the metadata of the file. Raises UnreadableImage for a file that cannot be
    decoded and InvalidInput for a size outside 16..1024.
    """
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise InvalidInput(f"A thumbnail of {SMALLEST_PX} to {LARGEST_PX} pixels", f"found {size_px}")
    with opened_picture(Path(path), limits, reduced_px=2 * size_px) as picture:
        image = _reduced(picture, size_px)
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    file = io.BytesIO()
    bare.save(file, "PNG")
    return file.getvalue()


def _reduced(picture: Picture, size_px: int) -> Image.Image:
    """The picture, a large one averaged down strip by strip to at least twice the wanted size."""
    factor = max(picture.size) // (2 * size_px)
    if factor < 2 or picture.width * picture.height <= STRIP_PIXELS:
        return picture.rgb()
    size = (math.ceil(picture.width / factor), math.ceil(picture.height / factor))
    small = Image.new("RGB", size)
    for top, strip in picture.strips(factor):
        small.paste(strip.reduce(factor), (0, top // factor))
    return small
