"""How sure a mean difference over images is, and whether it matters: intervals, sign flips and a margin.

The margin is set before anything is measured. With thousands of passes p becomes tiny for changes of no size, so
nothing here gives a p without its interval and its verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.evaluation.paired_tests import sign_flip_p

RESAMPLES = 10_000
FEW_UNITS = 20
"""Below so many images or groups there is no bootstrap: t over the means of the units."""
LEVEL = 0.95
NO_CHANGE, CHANGE, UNDECIDED = "no change that matters", "change", "undecided"


@dataclass(frozen=True)
class PairedChange:
    """mean over images, its range, p of sign flips (whole groups), and how the range was made.

    n: images. groups: units that were drawn or flipped. rising: share of images with a difference above 0. low and high
    are None below two units. verdict: by the margin, None where none applies or the range is unknown.
    """

    mean: float
    low: float | None
    high: float | None
    p: float
    n: int
    groups: int
    rising: float
    interval: str
    verdict: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def paired_change(
    differences: Sequence[float], groups: Sequence[str] | None = None, margin: float | None = None, seed: int = 0
) -> PairedChange:
    """The mean of differences by image, with a 95 % range and p. Needs one difference.

    groups: one name an image; images of a group are drawn and flipped together. From 20 units on BCa bootstrap with
    10,000 resamples of units, the estimator being the mean over images; below, t over the means of units.
    """
    d = np.asarray(differences, dtype=np.float64)
    unit = np.arange(d.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sums, counts = np.bincount(unit, d), np.bincount(unit)
    low, high, how = _range(sums, counts, seed)
    what = "images" if groups is None else "groups"
    verdict = None if margin is None or low is None or high is None else judge(low, high, margin)
    return PairedChange(
        float(d.mean()),
        low,
        high,
        sign_flip_p(sums / counts if _few(counts) else sums, seed),
        int(d.size),
        len(counts),
        float((d > 0).mean()),
        f"{how} over {len(counts)} {what}",
        verdict,
    )


def judge(low: float, high: float, margin: float) -> str:
    """What an interval says against a margin: inside it, outside it, or neither."""
    if -margin <= low and high <= margin:
        return NO_CHANGE
    return CHANGE if low > margin or high < -margin else UNDECIDED


def _few(counts: np.ndarray) -> bool:
    return len(counts) < FEW_UNITS


def _range(sums: np.ndarray, counts: np.ndarray, seed: int) -> tuple[float | None, float | None, str]:
    means = sums / counts
    if len(means) < 2:
        return None, None, "no range"
    if np.ptp(means) < 1e-15:
        return float(means[0]), float(means[0]), "every unit alike"
    if _few(counts):
        from scipy.special import stdtrit

        half = float(stdtrit(len(means) - 1, (1 + LEVEL) / 2) * means.std(ddof=1) / np.sqrt(len(means)))
        return float(means.mean()) - half, float(means.mean()) + half, f"{LEVEL:.0%} t"
    return *_bca(sums, counts, seed), f"{LEVEL:.0%} BCa bootstrap"


def _bca(sums: np.ndarray, counts: np.ndarray, seed: int) -> tuple[float, float]:
    from scipy.stats import bootstrap

    found = bootstrap(
        (sums, counts.astype(float)),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        n_resamples=RESAMPLES,
        batch=1000,
        paired=True,
        vectorized=True,
        confidence_level=LEVEL,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def discordant_p(before: Sequence[float], after: Sequence[float], groups: Sequence[str] | None = None) -> float:
    """Two-sided p that as many outcomes (0 or 1) turn one way as the other.

    By image exact McNemar: binomial on the images that turned. With groups, or where outcomes are means over draws,
    sign flips of the groups' sums.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    whole = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    if groups is None and whole:
        lost, won = int((first > second).sum()), int((second > first).sum())
        return float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    unit = np.arange(first.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    return sign_flip_p(np.bincount(unit, second - first))
