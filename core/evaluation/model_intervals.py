"""How sure the numbers of one trained model are: intervals over its test images, or over its patients if known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.evaluation.intervals import LEAST_GROUPS, Interval, bootstrap_interval, two_part_interval, wilson_interval
from core.evaluation.metrics import METRICS

RESAMPLES = 2000
SMALL_CLASS = 30
"""Below so many test images of a class resampling is too sure of its recall."""
FEW_GROUPS = 30
RECALL_DRAWS = 9999
COUNTED = ("accuracy", "balanced_accuracy", "macro_f1")
NONE = "none: no interval is made of this metric"
NO_SPREAD = "none: every resample gives the same number, which says nothing of how sure it is"


def model_intervals(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str | None] | None = None
) -> dict[str, dict[str, Any]]:
    """By metric {low, high, n, interval, over}: this model, new images of the same source. Fractions.

    probabilities: (n, classes). labels: (n,). groups: of the images; those without one count as their own. Accuracy has
    Wilson's interval, balanced accuracy with a class of fewer than 30 images draws each recall from its Beta(hits +
    1/2, misses + 1/2), AUROC the jackknife, the others resampled images; with groups groups are resampled, and below 10
    of them there is no interval. The calibration error has none, and neither has a number that no resample changes,
    such as that of a model without a mistake. low and high are None where there is none.
    """
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    units = unit_names(groups, len(labels))
    found: dict[str, Interval | None] = {"auroc": _auroc_interval(probabilities, labels, units)}
    if units is None:
        found |= confusion_intervals(_table(labels, predicted, classes))
    else:
        found |= {name: _grouped(labels, predicted, name, units) for name in COUNTED}
    nothing = {"low": None, "high": None, "n": len(labels), "interval": NONE, "over": None}
    return {name: _shown(kept) if (kept := found.get(name)) else dict(nothing) for name in METRICS}


def confusion_intervals(table: np.ndarray) -> dict[str, Interval]:
    """Intervals of what follows from a confusion matrix (true, predicted) of independent images, by metric."""
    n = int(table.sum())
    cells = np.random.default_rng(0).multinomial(n, table.ravel() / n, size=RESAMPLES).reshape(-1, *table.shape)
    text = f"95% bootstrap over {n} images"
    found = {"accuracy": wilson_interval(int(table.trace()), n)}
    found["balanced_accuracy"] = _recall_interval(table) or _percentile(_balanced(table), _balanced(cells), n, text)
    found["macro_f1"] = _percentile(_macro_f1(table), _macro_f1(cells), n, text)
    kappa = _kappa(cells)
    if np.isfinite(kappa).all():
        found["kappa"] = _percentile(_kappa(table), kappa, n, text)
    return found


def unit_names(groups: Sequence[str | None] | None, n: int) -> list[str] | None:
    """For each image its group, or itself; None where every image stands alone."""
    known = [group for group in groups or () if group is not None]
    if len(set(known)) == len(known):
        return None
    return [f"image {at}" if group is None else f"group {group}" for at, group in enumerate(groups or [None] * n)]


def _table(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _grouped(labels: np.ndarray, predicted: np.ndarray, metric: Any, units: list[str]) -> Interval:
    found = bootstrap_interval(labels, predicted, metric, groups=units, resamples=RESAMPLES)
    if found.n < LEAST_GROUPS:
        return Interval(found.mean, None, None, found.n, f"none: fewer than {LEAST_GROUPS} groups", None)
    about = " (approximate)" if found.n < FEW_GROUPS else ""
    return Interval(found.mean, found.low, found.high, found.n, f"{found.interval}{about}", "groups")


def _recall_interval(table: np.ndarray) -> Interval | None:
    """Of balanced accuracy where a class is small; None where none is. Source: Jeffreys' prior for each recall."""
    n, hits = table.sum(axis=1), table.diagonal()
    present = n > 0
    if n[present].min() >= SMALL_CLASS:
        return None
    draw = np.random.default_rng(0)
    recalls = draw.beta(hits[present] + 0.5, (n - hits)[present] + 0.5, size=(RECALL_DRAWS, int(present.sum())))
    text = f"95% Jeffreys by class over {int(n.sum())} images"
    return _percentile(_balanced(table), recalls.mean(axis=1), int(n.sum()), text)


def _balanced(tables: np.ndarray) -> np.ndarray:
    hits, n = tables.diagonal(axis1=-2, axis2=-1), tables.sum(axis=-1)
    return (hits / np.maximum(n, 1)).sum(axis=-1) / (n > 0).sum(axis=-1)


def _macro_f1(tables: np.ndarray) -> np.ndarray:
    hits = tables.diagonal(axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    return (2 * hits / np.maximum(both, 1)).sum(axis=-1) / (both > 0).sum(axis=-1)


def _kappa(tables: np.ndarray) -> np.ndarray:
    n = tables.sum(axis=(-2, -1))
    agreed = tables.diagonal(axis1=-2, axis2=-1).sum(axis=-1) / n
    chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (agreed - chance) / (1 - chance)


def _percentile(whole: np.ndarray, values: np.ndarray, n: int, text: str) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(whole), float(low), float(high), n, text, "images")


def _auroc_interval(probabilities: np.ndarray, labels: np.ndarray, units: list[str] | None) -> Interval | None:
    """Of the mean AUROC over classes, each against the rest, by leaving out one image or group at a time."""
    unit = np.arange(len(labels)) if units is None else np.unique(units, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    columns = [1] if probabilities.shape[1] == 2 else np.unique(labels)
    if len(np.unique(labels)) < 2 or n_units < LEAST_GROUPS:
        return None
    parts = [_auroc_without(probabilities[:, column], labels == column, unit, n_units) for column in columns]
    whole = float(np.mean([part[0] for part in parts]))
    without = np.mean([part[1] for part in parts], axis=0)
    if not np.isfinite(without).all():
        return None
    pseudo = n_units * whole - (n_units - 1) * without
    found = two_part_interval((pseudo - pseudo.mean() + whole)[None])
    what = "images" if units is None else "groups"
    low, high = max(0.0, float(found.low or 0.0)), min(1.0, float(found.high or 1.0))
    return Interval(whole, low, high, n_units, f"95% jackknife over {n_units} {what}", what)


def _auroc_without(scores: np.ndarray, is_class: np.ndarray, unit: np.ndarray, units: int) -> tuple[float, np.ndarray]:
    """The AUROC of a class, and what it is without each unit (units,)."""
    above, below = scores[is_class], scores[~is_class]
    wins = _wins(above, below)
    losses = len(above) - _wins(below, above)
    by_positive, by_negative = (
        np.bincount(unit[side], values, units) for side, values in ((is_class, wins), (~is_class, losses))
    )
    inside = np.zeros(units)
    both = np.intersect1d(unit[is_class], unit[~is_class])
    for one in both:
        mine = unit == one
        inside[one] = _wins(scores[mine & is_class], scores[mine & ~is_class]).sum()
    n_above, n_below = (np.bincount(unit[side], minlength=units) for side in (is_class, ~is_class))
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (len(above) - n_above) * (len(below) - n_below)
        without = (wins.sum() - by_positive - by_negative + inside) / left
    return float(wins.sum() / (len(above) * len(below))), without


def _wins(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score how many of the others lie below it; equal ones count half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2


def _shown(found: Interval) -> dict[str, Any]:
    if found.low is not None and found.low == found.high:
        found = Interval(found.mean, None, None, found.n, NO_SPREAD, None)
    return {name: value for name, value in found.as_dict().items() if name != "mean"}
