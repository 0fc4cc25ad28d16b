"""How sure a number is: over images of one run (Wilson, bootstrap) and over seeds (Student's t).

What a number holds for is one of three claims, and each interval says which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput

LEAST_GROUPS = 10
"""Below so many images or groups nothing is said of others."""
FEW_GROUPS = 30
"""Below so many an interval over them is called approximate."""
TABLE_CLAIM = "this method on this test set"
EVERYTHING = (-math.inf, math.inf)
"""Where a number can lie of which nothing is known."""
NO_SPREAD = "every resample gives the same number, which says nothing of how sure it is"
CountedMetric = Literal["accuracy", "balanced_accuracy", "macro_f1", "kappa"]


@dataclass(frozen=True)
class Interval:
    """A number and the range it is known to: mean, low, high, n (images, groups or seeds), and how it was made.

    low and high are None where the range is unknown, as after one seed. over: what it would vary with, such as
    "images", "groups" or "seeds"; claim: what it holds for, in words: of `model_claim`, `method_claim` or TABLE_CLAIM.
    Both are None where the range is unknown.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    interval: str
    over: str | None = None
    claim: str | None = None

    def within(self, bounds: tuple[float, float]) -> Interval:
        """The same without what lies beyond the least and the greatest value that the number can have."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(bounds[0], self.low), high=min(bounds[1], self.high))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def model_claim(kind: str) -> str:
    """What an interval of one trained model holds for. kind: "groups", where patients are known, or "images"."""
    return f"this trained model on {_new(kind)}"


def method_claim(kind: str) -> str:
    """What an interval over seeds and what varies with patients holds for."""
    return f"this method over new draws and {_new(kind)}"


def _new(kind: str) -> str:
    return "new patients" if kind == "groups" else "new images"


def wilson_interval(correct: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, such as accuracy: `correct` of `n` images. Needs n > 0.

    Never leaves [0, 1], and stays honest at 0 and n of n. Images must be independent; where several belong to one
    patient use `bootstrap_interval` with groups. Source: Wilson, JASA 1927.
    """
    from scipy.stats import norm

    if n <= 0 or not 0 <= correct <= n:
        raise InvalidInput(
            "An interval needs at least one image and no more hits than images", f"found {correct} of {n}"
        )
    z = float(norm.ppf((1 + level) / 2))
    share = correct / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Exact ends: rounding would otherwise leave 1e-17 where the formula gives 0, and 1 - 1e-16 where it gives 1.
    low = 0.0 if correct == 0 else float(centre - half)
    high = 1.0 if correct == n else float(centre + half)
    return Interval(share, low, high, n, f"{level:.0%} Wilson over {n} images", "images", model_claim("images"))


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds and its Student t interval. Needs one value; low and high are None below two.

    Says how the mean varies with the draw of shots and initial values on this test part, not how it would on other
    patients. With few seeds it is wide, and may reach beyond the values a metric can have: see `Interval.within`.
    """
    from scipy.special import stdtrit

    found = np.asarray(values, dtype=np.float64)
    if not found.size or not np.isfinite(found).all():
        raise InvalidInput(
            "A mean over seeds needs finite values", f"found {list(values)}", "Leave undefined ones out."
        )
    mean, n = float(found.mean()), int(found.size)
    if n < 2:
        return Interval(mean, None, None, n, "none: one seed")
    half = float(stdtrit(n - 1, (1 + level) / 2) * found.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, f"{level:.0%} t over {n} seeds", "seeds", TABLE_CLAIM)


def bootstrap_interval(
    labels: np.ndarray,
    predicted: np.ndarray,
    metric: CountedMetric = "accuracy",
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a metric over resampled test images, or resampled groups (patients) when given.

    labels, predicted: (n,), integers. groups: one value an image; images of a group are drawn together. A resample
    without any image of a class leaves that class out of balanced accuracy. low and high are None when there is only
    one image or group. One seed gives one result.
    """
    counts = _counts_per_unit(labels, predicted, groups)
    whole = table_metric(counts.sum(axis=0), metric)
    units, what = len(counts), "images" if groups is None else "groups"
    if units < 2:
        return Interval(float(whole), None, None, units, f"none: one {what[:-1]}")
    values = table_metric(_resampled(_draws(units, resamples, seed), counts), metric)
    return _percentiles(float(whole), values, level, units, f"{level:.0%} bootstrap over {units} {what}", what)


def _counts_per_unit(labels: np.ndarray, predicted: np.ndarray, groups: Sequence[Any] | None) -> np.ndarray:
    """Confusion counts of each image or group: (units, classes, classes)."""
    y, p = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if not y.size or y.shape != p.shape or (groups is not None and len(groups) != y.size):
        raise InvalidInput(
            "An interval needs labels, predictions and groups of one length",
            f"found {y.size}, {p.size}" + ("" if groups is None else f" and {len(groups)}"),
        )
    n_classes = int(max(y.max(), p.max())) + 1
    unit = np.arange(y.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    counts = np.zeros((int(unit.max()) + 1, n_classes, n_classes))
    np.add.at(counts, (unit, y, p), 1)
    return counts


def _draws(units: int, resamples: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each resample: (resamples, units)."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=resamples).astype(float)


def table_metric(tables: np.ndarray, metric: CountedMetric) -> np.ndarray:
    """The metric of each confusion matrix: (..., classes, classes), true class by row, to (...,).

    Classes without an image are left out of balanced accuracy, those that neither occur nor are predicted of macro F1.
    Kappa is not-a-number where all labels and predictions are of one class.
    """
    hits, true, called = tables.diagonal(axis1=-2, axis2=-1), tables.sum(axis=-1), tables.sum(axis=-2)
    n = true.sum(axis=-1)
    if metric == "accuracy":
        return hits.sum(axis=-1) / n
    if metric == "balanced_accuracy":
        return _mean_where(hits / np.maximum(true, 1), true > 0)
    if metric == "macro_f1":
        return _mean_where(2 * hits / np.maximum(true + called, 1), true + called > 0)
    if metric == "kappa":
        chance = (true * called).sum(axis=-1) / n**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return (hits.sum(axis=-1) / n - chance) / (1 - chance)
    raise InvalidInput(
        "The bootstrap knows accuracy, balanced_accuracy, macro_f1 and kappa",
        f"found '{metric}'",
        "Choose one of them.",
    )


def _resampled(draws: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Confusion counts of each resample: (resamples, classes, classes)."""
    return np.tensordot(draws, counts, axes=1)


def _mean_where(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return (values * counted).sum(axis=-1) / counted.sum(axis=-1)


def _percentiles(whole: float, values: np.ndarray, level: float, n: int, text: str, over: str) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(whole, float(low), float(high), n, text, over, model_claim(over))
