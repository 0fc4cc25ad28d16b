"""How many of the sentences that were planted wrong a reader caught, in arithmetic that needs no library."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, `hits` of `n` > 0, both ends in [0, 1]. Source: Wilson, JASA 1927.

    The same as `core.evaluation.intervals.wilson_interval`, which loads NumPy.

    >>> [round(end, 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = hits / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
