"""Small copies of images for pages."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from core.errors import InvalidInput
from core.images.decode import decode_image
from core.images.limits import Limits

MEDIA_TYPE = "image/png"
SMALLEST_PX, LARGEST_PX = 16, 1024


def thumbnail(path: str | Path, size_px: int = 160, limits: Limits | None = None) -> bytes:
    """A PNG copy whose longer side has at most `size_px` pixels; smaller images keep their size.

    The copy carries pixels only, none of the metadata of the file. Raises UnreadableImage for a file that cannot be
    decoded and InvalidInput for a size outside 16..1024.
    """
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise InvalidInput(f"A thumbnail of {SMALLEST_PX} to {LARGEST_PX} pixels", f"found {size_px}")
    image = decode_image(Path(path), limits)
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    file = io.BytesIO()
    bare.save(file, "PNG")
    return file.getvalue()
