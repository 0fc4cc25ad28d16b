"""Samples of more than 8 bits as numbers: 16-bit PNG, and TIFF of 10 to 64 bits, signed, unsigned or floating point.

Pillow keeps only the upper half of 16-bit colour, and of deep TIFFs it knows few kinds (compressed big-endian ones it
reads in the wrong byte order). So a PNG in colour is decoded twice, for its upper and its lower bytes, by the raw modes
that Pillow has for the two byte orders; TIFFs are decoded by OpenCV, after their header was checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UnreadableImage
from core.images.metadata import orientation_of
from core.images.tiff import (
    BLACK_IS_ZERO,
    EXTRA_SAMPLES,
    FLOAT,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    TiffHeader,
)

_LOWER_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}
"""Raw modes of 16-bit PNG, and those under which Pillow hands out the other half."""
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda v: v[:, ::-1],
    3: lambda v: v[::-1, ::-1],
    4: lambda v: v[::-1],
    5: lambda v: v.swapaxes(0, 1),
    6: lambda v: v.swapaxes(0, 1)[:, ::-1],
    7: lambda v: v.swapaxes(0, 1)[::-1, ::-1],
    8: lambda v: v.swapaxes(0, 1)[::-1],
}


@dataclass
class DeepSamples:
    """values: (height, width) grey or (height, width, 3) RGB. opacity: (height, width) in 0..1, or None.

    blank: a value that means no picture, where the file names one. is_transparent: alpha is 0 everywhere.
    """

    values: np.ndarray
    opacity: np.ndarray | None = None
    is_transparent: bool = False
    declared_bits: int | None = None
    inverted: bool = False
    blank: int | None = None

    @property
    def is_colour(self) -> bool:
        """Whether there are three channels."""
        return self.values.ndim == 3


def is_deep_png(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded PNG has samples of 16 bits."""
    return image.mode.startswith("I") or _raw_mode(image) in _LOWER_BYTES


def read_deep_png(image: Image.Image, open_again: Callable[[], Image.Image], significant: bytes | None) -> DeepSamples:
    """Samples of a 16-bit PNG, upright.

    open_again: gives the same image anew, not loaded. significant: the content of its chunk sBIT, if it has one.
    """
    declared = max(significant) if significant and max(significant) < 16 else None
    raw_mode = _raw_mode(image)
    if raw_mode not in _LOWER_BYTES:
        image.load()
        blank = image.info.get("transparency")
        values = _upright(np.asarray(image), image)
        return DeepSamples(values, declared_bits=declared, blank=blank if isinstance(blank, int) else None)
    if raw_mode == "LA;16B":
        both = _as_array(image, "RGBA").astype(np.uint16)
        samples = both[..., ::2] << 8 | both[..., 1::2]
    else:
        samples = _as_array(image, raw_mode).astype(np.uint16) << 8
        samples |= _as_array(open_again(), _LOWER_BYTES[raw_mode])
    samples = _upright(samples, image)
    if samples.shape[2] == 2:
        return _with_alpha(samples[..., 0], samples[..., 1], declared)
    return _with_alpha(samples[..., :3], samples[..., 3] if samples.shape[2] == 4 else None, declared)


def _upright(values: np.ndarray, image: Image.Image) -> np.ndarray:
    return _TURNS.get(orientation_of(image), np.asarray)(values)


def read_deep_tiff(content: bytes, header: TiffHeader) -> DeepSamples:
    """Samples of a deep TIFF, upright. Raises UnreadableImage for kinds that cannot be read, and for damaged files."""
    if header.is_planar or not _is_known(header):
        raise UnreadableImage(
            "A TIFF of grey or RGB samples of 8 to 64 bits, floating-point ones of 32 or 64",
            f"found {header.words}",
            "Export it as 16-bit PNG.",
        )
    values = _decode_tiff(content)  # turned upright
    if values is None or sorted(values.shape[:2]) != sorted(header.size) or values.dtype.itemsize * 8 < header.bits:
        raise UnreadableImage(
            "A whole TIFF image", f"found {header.words} that is damaged or cut off", "Export the image again."
        )
    if header.bits in (10, 12, 14):
        values = values >> (16 - header.bits)  # OpenCV moves them to the upper bits
    if values.ndim == 3:
        alpha = values[..., 3] if values.shape[2] == 4 and _has_alpha(header) else None
        return _with_alpha(values[..., 2::-1], alpha, header.declared_bits)
    inverted = header.photometric == WHITE_IS_ZERO
    return DeepSamples(values, declared_bits=header.declared_bits, inverted=inverted)


def as_grey(values: np.ndarray) -> np.ndarray:
    """Colour of three equal channels as one."""
    if values.ndim == 2:
        return values
    first = values[..., 0]
    if all(np.array_equal(first, values[..., i]) for i in (1, 2)):
        return np.ascontiguousarray(first)
    return values


def _raw_mode(image: Image.Image) -> str:
    tile: Any = image.tile[0] if getattr(image, "tile", None) else None  # type: ignore[attr-defined]
    return tile.args if tile is not None and isinstance(tile.args, str) else ""


def _as_array(image: Image.Image, raw_mode: str) -> np.ndarray:
    """Pixels of an opened image, unpacked by another raw mode of equal size."""
    image.tile = [tile._replace(args=raw_mode) for tile in image.tile]  # type: ignore[attr-defined]
    image.load()
    return np.asarray(image)


def _with_alpha(values: np.ndarray, alpha: np.ndarray | None, declared_bits: int | None) -> DeepSamples:
    """Samples with alpha as a share of its own maximum; one that is the same everywhere says nothing."""
    values = as_grey(values)
    if alpha is None or alpha.max() == alpha.min():
        is_transparent = alpha is not None and alpha.max() == 0
        return DeepSamples(values, is_transparent=is_transparent, declared_bits=declared_bits)
    return DeepSamples(values, alpha.astype(np.float32) / float(alpha.max()), declared_bits=declared_bits)


def _is_known(header: TiffHeader) -> bool:
    is_rgb = header.photometric == RGB and header.samples in (3, 4)
    is_grey = header.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and header.samples == 1
    bits: tuple[int, ...] = (32, 64) if header.sample_format == FLOAT else (8, 10, 12, 14, 16, 32, 64)
    return (is_rgb or is_grey) and header.sample_format in (UNSIGNED, SIGNED, FLOAT) and header.bits in bits


def _has_alpha(header: TiffHeader) -> bool:
    return int((header.tags.get(EXTRA_SAMPLES) or (0,))[0]) in (1, 2)


def _decode_tiff(content: bytes) -> np.ndarray | None:
    import cv2  # takes a second to load, and only such files need it

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # damaged files have their sentence here
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
