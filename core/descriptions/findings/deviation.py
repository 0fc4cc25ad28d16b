"""How far numbers lie from their middle, told by medians, so that a few far ones do not hide themselves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

NORMAL_MAD = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""


def robust_deviations(scores: Sequence[float]) -> list[float]:
    """How many deviations each score lies below the median, a deviation being 1.4826 times the median absolute one.

    All 0 where half of the scores or more are the same.
    """
    middle = median(scores)
    spread = NORMAL_MAD * median(abs(score - middle) for score in scores)
    return [(middle - score) / spread if spread > 0 else 0.0 for score in scores]
