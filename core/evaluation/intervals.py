"""How sure a number is: over images of one run (Wilson, bootstrap) and over seeds (Student's t)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput

LEAST_GROUPS = 10
"""Below so many images or groups nothing is said of others."""
CountedMetric = Literal["accuracy", "balanced_accuracy", "macro_f1"]


@dataclass(frozen=True)
class Interval:
    """A number and the range it is known to: mean, low, high, n (images, groups or seeds), and how it was made.

    low and high are None where the range is unknown, as after one seed. over: what it would vary with, such as
    "images", "groups" or "seeds"; None where it is not known.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    interval: str
    over: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


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
    return Interval(share, low, high, n, f"{level:.0%} Wilson over {n} images", "images")


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds and its Student t interval. Needs one value; low and high are None below two.

    Says how the mean varies with the draw of shots and initial values on this test part, not how it would on other
    patients. With few seeds it is wide, and it may reach beyond [0, 1]: it is not cut, so that it stays symmetric.
    """
    from scipy.stats import t

    found = np.asarray(values, dtype=np.float64)
    if not found.size or not np.isfinite(found).all():
        raise InvalidInput(
            "A mean over seeds needs finite values", f"found {list(values)}", "Leave undefined ones out."
        )
    mean, n = float(found.mean()), int(found.size)
    if n < 2:
        return Interval(mean, None, None, n, "none: one seed")
    half = float(t.ppf((1 + level) / 2, n - 1) * found.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, f"{level:.0%} t over {n} seeds", "seeds")


def two_part_interval(pseudo: np.ndarray, level: float = 0.95) -> Interval:
    """A mean over seeds with what it would be for new draws and new images: pseudo-values (seeds, units).

    With draws s and units (images, groups) g: v_s = variance over seeds of their means / S, v_c = mean over pairs of
    seeds of the covariance over units / G, not below 0; half-width sqrt(t(S - 1)^2 v_s + t(G - 1)^2 v_c), not cut. For
    one seed the images alone vary. n: units. Source: Obuchowski and Rockette's two components, seeds as readers.
    """
    from scipy.stats import t

    seeds, units = pseudo.shape
    if units < 2:
        return Interval(float(pseudo.mean()), None, None, units, "none: one image or group")
    covariance = np.atleast_2d(np.cov(pseudo, ddof=1)) / units
    images = float(t.ppf((1 + level) / 2, units - 1))
    if seeds == 1:
        half, what = images * np.sqrt(covariance[0, 0]), f"over {units} units"
    else:
        draws = float(t.ppf((1 + level) / 2, seeds - 1))
        between = pseudo.mean(axis=1).var(ddof=1) / seeds
        within = max(0.0, float(covariance[~np.eye(seeds, dtype=bool)].mean()))
        half, what = np.sqrt(draws**2 * between + images**2 * within), f"over {seeds} seeds and {units} units"
    mean = float(pseudo.mean())
    over = "images" if seeds == 1 else "seeds and images"
    return Interval(mean, mean - float(half), mean + float(half), units, f"{level:.0%} two-part {what}", over)


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
    counts, n_classes = _counts_per_unit(labels, predicted, groups)
    whole = _statistic(counts.sum(axis=0, keepdims=True).astype(float), n_classes, metric)[0]
    units, what = len(counts), "images" if groups is None else "groups"
    if units < 2:
        return Interval(float(whole), None, None, units, f"none: one {what[:-1]}")
    values = _statistic(_draws(units, resamples, seed) @ counts, n_classes, metric)
    return _percentiles(float(whole), values, level, units, f"{level:.0%} bootstrap over {units} {what}")


def paired_difference(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    metric: CountedMetric = "accuracy",
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """`first` minus `second` on the same images, with a bootstrap that draws each image for both.

    first, second: predicted labels (n,) of two models. An interval without 0 means that the difference is more than
    the choice of test images. low and high are None when there is only one image or group.
    """
    one, n_classes = _counts_per_unit(labels, first, groups, extra=second)
    two, _ = _counts_per_unit(labels, second, groups, extra=first)
    whole = [_statistic(c.sum(axis=0, keepdims=True).astype(float), n_classes, metric)[0] for c in (one, two)]
    units, what = len(one), "images" if groups is None else "groups"
    if units < 2:
        return Interval(float(whole[0] - whole[1]), None, None, units, f"none: one {what[:-1]}")
    draws = _draws(units, resamples, seed)
    values = _statistic(draws @ one, n_classes, metric) - _statistic(draws @ two, n_classes, metric)
    text = f"{level:.0%} paired bootstrap over {units} {what}"
    return _percentiles(float(whole[0] - whole[1]), values, level, units, text)


def _counts_per_unit(
    labels: np.ndarray, predicted: np.ndarray, groups: Sequence[Any] | None, extra: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Confusion counts of each image or group, flattened: (units, classes * classes), and the number of classes."""
    y, p = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if not y.size or y.shape != p.shape or (groups is not None and len(groups) != y.size):
        raise InvalidInput(
            "An interval needs labels, predictions and groups of one length",
            f"found {y.size}, {p.size}" + ("" if groups is None else f" and {len(groups)}"),
        )
    n_classes = int(max(y.max(), p.max(), 0 if extra is None else np.max(extra))) + 1
    unit = np.arange(y.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    counts = np.zeros((int(unit.max()) + 1, n_classes**2))
    np.add.at(counts, (unit, y * n_classes + p), 1)
    return counts, n_classes


def _draws(units: int, resamples: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each resample: (resamples, units)."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=resamples).astype(float)


def _statistic(confusions: np.ndarray, n_classes: int, metric: CountedMetric) -> np.ndarray:
    """The metric of each flattened confusion matrix: (resamples, classes * classes) to (resamples,)."""
    table = confusions.reshape(-1, n_classes, n_classes)
    hits, true, called = table.diagonal(axis1=1, axis2=2), table.sum(axis=2), table.sum(axis=1)
    if metric == "accuracy":
        return hits.sum(axis=1) / true.sum(axis=1)
    if metric == "balanced_accuracy":
        return _mean_where(hits / np.maximum(true, 1), true > 0)
    if metric == "macro_f1":
        return _mean_where(2 * hits / np.maximum(true + called, 1), true + called > 0)
    raise InvalidInput(
        "The bootstrap knows accuracy, balanced_accuracy and macro_f1", f"found '{metric}'", "Choose one of them."
    )


def _mean_where(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return (values * counted).sum(axis=1) / counted.sum(axis=1)


def _percentiles(whole: float, values: np.ndarray, level: float, n: int, text: str) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(whole, float(low), float(high), n, text)
