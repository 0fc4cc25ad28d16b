"""How grey values of more than 8 bits become 8 bits: the range that is shown, and what was kept out of it.

The range follows each picture's own values, so that one picture stored with a maximum of 1023, 4000, 4200 or 65535
looks the same. Three things are kept out of it:

- padding: one value outside the picture, such as -2000 around a slice of CT, or NaN;
- single outliers: the outermost ten-thousandth, and up to a thousandth where it lies far off;
- one isolated value at the top, such as that of burnt-in letters.

Decision 17 says why the file's own declaration of bits is recorded, not used.
"""

from __future__ import annotations

import math

import numpy as np

from core.images.windowing import NAN, Windowing

SAMPLE_VALUES = 1_000_000
"""The range is found on at most about so many values, evenly spread."""
TRIMMED_SHARE, OUTLIER_SHARE = 1e-4, 1e-3
FEWEST_TRIMMED = 256
"""Among fewer values none counts as an outlier."""
FAR_OFF = 2.0
"""Outliers lie farther off than so many times the range without them."""
PADDING_VALUES = frozenset((-2000, -2048, -3024, -4096, -9999, -32767, -32768, -(2**31)))
KNOWN_PADDING_GAP, NEGATIVE_PADDING_GAP, PADDING_GAP = 0.02, 0.1, 1.0
"""How far padding lies off the picture, as a share of the picture's range: usual values, other negative ones, any."""
PADDING_SHARE = 5e-4
FEWEST_LEVELS = 16
"""So many grey levels must be left without padding: else it is a drawing of a few labels."""
MOST_PADDING = 3
_KINDS = {"u": "unsigned", "b": "unsigned", "i": "signed", "f": "float"}


def find_windowing(
    values: np.ndarray, *, declared_bits: int | None = None, inverted: bool = False, is_colour: bool = False
) -> Windowing:
    """The range of a picture's values, of any shape and real type.

    is_colour: black stays at 0, since another black would change hues. A picture without range (flat, or without one
    finite value) gets the range of its type.
    """
    sample = evenly_spread(values)
    finite = sample[np.isfinite(sample)]
    padding: list[float | str] = [NAN] if len(finite) < len(sample) else []
    ordered, isolated = _without_padding(np.sort(finite).astype(np.float64))
    low, high = _trimmed(ordered)
    source = "data" if high > low else "type"
    if source == "type":
        low, high = _range_of_type(values.dtype, low)
    elif is_colour:
        low = min(low, 0.0)
    bits, kind = values.dtype.itemsize * 8, _KINDS[values.dtype.kind]
    return Windowing(low, high, source, bits, kind, declared_bits, inverted, (*padding, *isolated))


def apply_windowing(values: np.ndarray, window: Windowing) -> np.ndarray:
    """Values as uint8 of the same shape. Not finite ones and padding below the range become black."""
    floats: np.ndarray = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        share = (floats - window.low) * (255.0 / (window.high - window.low))
        grey = np.nan_to_num(np.rint(np.clip(share, 0, 255))).astype(np.uint8)
    if window.inverted:
        grey = 255 - grey
    if NAN in window.padding:
        grey[~np.isfinite(values)] = 0
    for value in window.padding:
        if value != NAN and float(value) < window.low:
            grey[values == value] = 0
    return grey


def evenly_spread(values: np.ndarray) -> np.ndarray:
    """At most about a million of the values in one dimension, the same ones each time."""
    flat = values.reshape(-1)
    step = math.ceil(flat.size / SAMPLE_VALUES)
    # an odd step does not fall into the rhythm of rows, which are often a power of two long
    return flat[:: step + 1 - step % 2] if step > 1 else flat


def _without_padding(ordered: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Sorted values without isolated ones at either end, and those values."""
    found: list[float] = []
    for _ in range(MOST_PADDING):
        value, rest = next(((v, rest) for v, rest in _ends(ordered) if _is_padding(v, rest, len(ordered))), (None, []))
        if value is None:
            break
        found.append(value)
        ordered = np.asarray(rest)
    return ordered, found


def _ends(ordered: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """The lowest and the highest value, each with the others."""
    if not len(ordered):
        return []
    above = np.searchsorted(ordered, ordered[0], "right")
    below = np.searchsorted(ordered, ordered[-1], "left")
    return [(float(ordered[0]), ordered[above:]), (float(ordered[-1]), ordered[:below])]


def _is_padding(value: float, rest: np.ndarray, n_values: int) -> bool:
    """Whether one value, at an end of the others, stands apart from a picture."""
    if n_values - len(rest) < max(2.0, PADDING_SHARE * n_values) or _n_levels(rest) < FEWEST_LEVELS:
        return False
    low, high = _trimmed(rest)
    gap, needed = (low - value, _needed_gap(value)) if value < low else (value - high, PADDING_GAP)
    return gap > needed * (high - low)


def _needed_gap(lowest: float) -> float:
    if lowest in PADDING_VALUES:
        return KNOWN_PADDING_GAP
    return NEGATIVE_PADDING_GAP if lowest < 0 else PADDING_GAP


def _n_levels(ordered: np.ndarray) -> int:
    """Distinct values among some thousands, enough to tell a picture from a few labels."""
    return len(np.unique(ordered[:: max(1, len(ordered) // 4096)]))


def _trimmed(ordered: np.ndarray) -> tuple[float, float]:
    """(low, high) of sorted values without outliers; (0, 0) of none."""
    n = len(ordered)
    if not n:
        return 0.0, 0.0
    few = max(1, int(n * TRIMMED_SHARE)) if n >= FEWEST_TRIMMED else 0
    more = max(few, int(n * OUTLIER_SHARE))
    low, high = float(ordered[few]), float(ordered[n - 1 - few])
    inner_low, inner_high = float(ordered[more]), float(ordered[n - 1 - more])
    far = FAR_OFF * (inner_high - inner_low)
    if far > 0:
        low = inner_low if inner_low - low > far else low
        high = inner_high if high - inner_high > far else high
    return low, high


def _range_of_type(dtype: np.dtype, value: float) -> tuple[float, float]:
    """Black and white where all values are one; what has no natural white is black."""
    return (0.0, float(np.iinfo(dtype).max)) if dtype.kind == "u" else (value, value + max(1.0, abs(value)))
