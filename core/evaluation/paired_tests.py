"""Tests of two trained models on the same images, and what many tests at once do to their p values.

McNemar's and the sign-flip test hold for the models at hand on new patients, never for the methods behind them: a draw
of shots that happened to suit one of them counts as if it always did. For methods see `core.evaluation.two_part`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import InvalidInput

EXACT_FLIPS = 14
"""Up to so many differences that are not 0 all signs are tried."""
FLIPS = 9999
ALIKE = 9
"""Decimals of differences that are told apart: they are means over a few seeds, and rounding must not part equals."""


def mcnemar_mid_p(first_only: int, second_only: int) -> float:
    """Two-sided mid-p of McNemar's test: images that only the first or only the second model got right.

    With m of both, k the smaller count and X ~ Bin(m, 1/2): min(1, 2 (P(X <= k) - P(X = k) / 2)); 1 for m = 0. Images
    must be independent. Raises InvalidInput for negative counts. Source: Fagerland, Lydersen and Laake, BMC Medical
    Research Methodology 2013.
    """
    from scipy.stats import binom

    if first_only < 0 or second_only < 0:
        raise InvalidInput("Counts of images are 0 or more", f"found {first_only} and {second_only}")
    m, k = first_only + second_only, min(first_only, second_only)
    if m == 0:
        return 1.0
    return float(min(1.0, 2 * (binom.cdf(k, m, 0.5) - binom.pmf(k, m, 0.5) / 2)))


def unit_differences(first: np.ndarray, second: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How much more often the first was right, by unit: sums over its images of the mean over seeds, (units,).

    first, second: whether right, (seeds, images). unit: (images,), 0 to units - 1.
    """
    apart = first.astype(float).mean(axis=0) - second.astype(float).mean(axis=0)
    return np.bincount(unit, apart)


def sign_flip_p(differences: Sequence[float] | np.ndarray, seed: int = 0) -> float:
    """Two-sided p that the sum of differences by unit would be as far from 0 if each could as well be reversed.

    differences: (units,); zeros are dropped, and none left gives 1. Up to 14 left all signs are tried, otherwise 9,999
    drawn ones with p = (1 + as far or farther) / 10,000. One seed gives one result.
    """
    given = np.asarray(differences, dtype=np.float64)
    sizes, counts = np.unique(np.abs(given).round(ALIKE), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    if not sizes.size:
        return 1.0
    observed = abs(given.sum()) - 10.0**-ALIKE
    if counts.sum() <= EXACT_FLIPS:
        d = np.repeat(sizes, counts)
        signs = 1 - 2 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
        return float((np.abs(signs @ d) >= observed).mean())
    # of units with differences of one size only the number that stay positive matters
    positive = np.random.default_rng(seed).binomial(counts, 0.5, size=(FLIPS, counts.size))
    farther = np.abs((2 * positive - counts) @ sizes) >= observed
    return float((1 + farther.sum()) / (FLIPS + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values in the given order: below 0.05 each holds with all the others at once.

    The i-th smallest of m is multiplied by m - i + 1, never falls below a smaller one's, and stays at most 1. Source:
    Holm, Scandinavian Journal of Statistics 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not np.isfinite(p).all() or (p < 0).any() or (p > 1).any():
        raise InvalidInput("p values lie between 0 and 1", f"found {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted.tolist()
