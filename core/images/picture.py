"""One decoded picture, handed out as RGB of 8 bits: whole, or in strips where the whole would be held twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UnreadableImage
from core.images.deep import DeepSamples
from core.images.faults import find_faults
from core.images.findings import Finding, shown
from core.images.grey_range import apply_windowing, find_windowing
from core.images.windowing import Windowing

STRIP_PIXELS = 2_000_000
LOSSY = frozenset(("JPEG", "WEBP"))
SMOOTH_VALUES = 16
_WITH_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))


class Picture:
    """Upright pixels of one file.

    samples: a loaded Pillow image of up to 8 bits a sample, or deep samples. windowing: how deep ones became 8 bits;
    None where the file has 8 bits and they are shown as they are. A picture that is transparent all over is shown as
    if it were opaque; any other lies on black.
    """

    def __init__(self, samples: Image.Image | DeepSamples, form: str) -> None:
        self._samples: Image.Image | DeepSamples | None = samples
        self.format = form
        if isinstance(samples, DeepSamples):
            self.height, self.width = samples.values.shape[:2]
            self.windowing: Windowing | None = _windowing(samples)
            self.is_transparent = samples.is_transparent
        else:
            self.width, self.height = samples.size
            self.windowing = None
            self.is_transparent = _is_transparent(samples)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    def rgb(self) -> Image.Image:
        """The whole picture, mode RGB."""
        if isinstance(self._samples, Image.Image) and self._samples.mode == "RGB" and not _has_alpha(self._samples):
            self._samples.info.clear()  # what is made of it later shall carry nothing but pixels
            return self._samples
        if self.width * self.height <= STRIP_PIXELS:
            return next(self.strips())[1]
        whole = Image.new("RGB", self.size)
        for top, strip in self.strips():
            whole.paste(strip, (0, top))
        return whole

    def strips(self, rows_multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
        """(top, RGB image as wide as the picture) from above; all but the last have a multiple of so many rows."""
        rows = max(1, STRIP_PIXELS // self.width // rows_multiple) * rows_multiple
        for top in range(0, self.height, rows):
            yield top, self._strip(top, min(self.height, top + rows))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the picture lacks."""
        counts = np.zeros(768, np.int64)
        for _, strip in self.strips():
            counts += strip.histogram()
        return self.judge(counts)

    def judge(self, histogram: np.ndarray) -> tuple[Finding, ...]:
        """What the picture lacks, for who has counted its 3 x 256 values already."""
        return find_faults(histogram, self.windowing, self.is_transparent)

    def told(self) -> dict[str, Any]:
        """JSON form of how the picture is shown and what it lacks: windowing or None, findings."""
        return shown(self.windowing, self.findings)

    def marked(self) -> Image.Image:
        """The picture as a mask, mode L: white wherever a value is not black, however dark.

        Where a format that loses detail, or smoothing, has blurred the edges, it is white from half the brightest
        value on: otherwise a JPEG mask would grow by its blur.
        """
        if isinstance(self._samples, DeepSamples):
            values = self._samples.values
            lit = values != 0 if values.ndim == 2 else (values != 0).any(axis=2)
            return Image.fromarray(lit.astype(np.uint8) * 255, "L")
        counts = np.sum([strip.convert("L").histogram() for _, strip in self.strips()], axis=0)
        least = _least_marked(counts, self.format)
        mask = Image.new("L", self.size)
        for top, strip in self.strips():
            mask.paste(strip.convert("L").point(lambda value: 255 if value >= least else 0), (0, top))
        return mask

    def release(self) -> None:
        """Let go of the pixels, whoever still holds this object."""
        self._samples = None

    def _strip(self, top: int, bottom: int) -> Image.Image:
        samples = self._samples
        if samples is None:
            raise ValueError("this picture was released")
        if isinstance(samples, DeepSamples):
            assert self.windowing is not None
            return _deep_strip(samples, self.windowing, top, bottom)
        is_whole = top == 0 and bottom == self.height
        return _flat(samples if is_whole else samples.crop((0, top, self.width, bottom)), self.is_transparent)


def _least_marked(counts: np.ndarray, form: str) -> int:
    """The least grey value that marks, of a mask's histogram (256,): 1, or half the brightest where edges are blurred.

    Blurred by their look: 16 values or more, most of what is not black close to the brightest.
    """
    present = np.flatnonzero(counts)
    most = int(present.max(initial=0))
    bright, lit = counts[most - most // 8 :].sum(), counts[1:].sum()
    smooth = len(present) >= SMOOTH_VALUES and 2 * bright >= lit
    return max(1, (most + 1) // 2) if form in LOSSY or smooth else 1


def _windowing(samples: DeepSamples) -> Windowing:
    """The range of what is seen of the picture."""
    values = samples.values
    if samples.blank is not None:
        values = values[values != samples.blank]
    elif samples.opacity is not None:
        values = values[samples.opacity > 0]
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        raise UnreadableImage("Finite pixel values", "found only NaN or infinity", "Export the image again.")
    return find_windowing(
        values, declared_bits=samples.declared_bits, inverted=samples.inverted, is_colour=samples.is_colour
    )


def _deep_strip(samples: DeepSamples, window: Windowing, top: int, bottom: int) -> Image.Image:
    values = samples.values[top:bottom]
    grey = apply_windowing(values, window)
    if samples.blank is not None:
        grey[values == samples.blank] = 0
    if samples.opacity is not None:
        share = samples.opacity[top:bottom]
        grey = np.rint(grey * (share[..., None] if samples.is_colour else share)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def _is_transparent(image: Image.Image) -> bool:
    """Whether no pixel can be seen at all."""
    if not _has_alpha(image):
        return False
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows))).convert("RGBA")
        if strip.getchannel("A").getextrema()[1]:
            return False
    return True


def _flat(image: Image.Image, ignores_alpha: bool) -> Image.Image:
    """RGB of an image of up to 8 bits a sample, laid on black."""
    if not _has_alpha(image):
        return image.convert("RGB")
    layer = image.convert("RGBA")
    if ignores_alpha:
        layer.putalpha(255)
    black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, layer).convert("RGB")
