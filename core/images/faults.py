"""Finding what a decoded picture lacks, from how often each of its values stands in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.images.findings import CONSTANT, LOW_CONTRAST, NOT_FINITE, TRANSPARENT, Finding
from core.images.windowing import NAN, Windowing

NARROW_LEVELS, FLAT_LEVELS = 64, 8
"""Fewer grey levels than a quarter of 256 are a small part, fewer than these hardly any."""
NARROW_SHARE = 0.05
"""Deep values that differ by less than this share of the largest are mostly one value."""
DECLARED_SHARE = 0.25
IGNORED_SHARE = 1e-3
"""So many of the darkest and of the brightest pixels do not count."""
BLACK, WHITE = 16, 239


def find_faults(
    histogram: Sequence[int] | np.ndarray, windowing: Windowing | None = None, is_transparent: bool = False
) -> tuple[Finding, ...]:
    """What a decoded picture lacks.

    histogram: 3 x 256 counts of its 8-bit RGB values. windowing: of deep pictures, whose stretched values say nothing
    of how few there were. is_transparent: no pixel is opaque at all.
    """
    found = [_transparent()] if is_transparent else []
    counts = np.asarray(histogram, dtype=np.int64).reshape(3, 256)
    lows, highs = zip(*(_used(channel) for channel in counts), strict=True)
    levels = max(high - low for low, high in zip(lows, highs, strict=True)) + 1
    if levels <= FLAT_LEVELS or (windowing is not None and windowing.source == "type"):
        return (*found, _constant(min(lows), max(highs)))
    narrow = _narrow_window(windowing) if windowing else None
    if narrow is None and levels < NARROW_LEVELS:
        narrow = Finding(
            LOW_CONTRAST,
            f"a picture that uses at least {NARROW_LEVELS} of 256 grey levels",
            f"the picture uses a small part of its range: {levels} of 256 grey levels",
        )
    if narrow:
        found.append(narrow)
    if windowing is not None and NAN in windowing.padding:
        found.append(Finding(NOT_FINITE, "finite pixel values", "the picture holds NaN or infinity, shown as black"))
    return tuple(found)


def _used(counts: np.ndarray) -> tuple[int, int]:
    """(darkest, brightest) level of a channel without the outermost thousandth on either side."""
    total, reached = int(counts.sum()), np.cumsum(counts)
    ignored = int(total * IGNORED_SHARE)
    return int(np.searchsorted(reached, ignored, "right")), int(np.searchsorted(reached, total - ignored, "left"))


def _transparent() -> Finding:
    return Finding(
        TRANSPARENT,
        "a picture that can be seen",
        "the picture is fully transparent; its colours were read without that",
    )


def _constant(low: int, high: int) -> Finding:
    kind = "black" if high <= BLACK else "white" if low >= WHITE else "of one colour"
    return Finding(CONSTANT, "a picture with more than one grey", f"the picture is nearly constant, {kind} all over")


def _narrow_window(window: Windowing) -> Finding | None:
    """What the values of a deep picture say, before they were stretched."""
    span = window.high - window.low
    if window.kind != "float" and span < FLAT_LEVELS:
        return Finding(
            CONSTANT,
            "a picture with more than one grey",
            f"the picture is nearly constant: its values lie between {window.low:g} and {window.high:g}",
        )
    full = 2.0 ** (window.declared_bits or 0)
    few = window.kind != "float" and span < NARROW_LEVELS
    narrow = span < NARROW_SHARE * max(abs(window.low), abs(window.high))
    if not few and not narrow and span >= DECLARED_SHARE * (full if window.declared_bits else 0.0):
        return None
    return Finding(
        LOW_CONTRAST,
        f"a picture that uses at least {NARROW_LEVELS} grey levels and a good part of its range",
        f"the picture uses a small part of its range: values from {window.low:g} to {window.high:g}",
    )
