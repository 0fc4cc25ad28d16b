"""How sure the numbers of one trained model are: intervals over its test images, or over its patients if known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.evaluation.intervals import (
    FEW_GROUPS,
    LEAST_GROUPS,
    NO_SPREAD,
    CountedMetric,
    Interval,
    bootstrap_interval,
    model_claim,
    table_metric,
    wilson_interval,
)
from core.evaluation.metrics import METRICS
from core.evaluation.pseudo_values import Units, measure, units_of
from core.evaluation.two_part import of_measured

RESAMPLES = 2000
SMALL_CLASS = 30
"""Below so many test images of a class resampling is too sure of its recall."""
TINY_CLASS = 10
"""Below so many test images a class is named, because its recall is hardly known."""
RECALL_DRAWS = 9999
COUNTED: tuple[CountedMetric, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
NONE = "none: no interval is made of this metric"
ABOUT = " (approximate)"


def model_intervals(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str | None] | None = None
) -> dict[str, dict[str, Any]]:
    """By metric {low, high, n, interval, over, claim}: this model, new images of the same source. Fractions.

    probabilities: (n, classes). labels: (n,). groups: of the images; those without one count as their own. Accuracy has
    Wilson's interval, balanced accuracy with a class of fewer than 30 images draws each recall from its Beta(hits +
    1/2, misses + 1/2), AUROC the jackknife, the others resampled images; with groups groups are resampled. Below 30
    groups an interval is approximate, and so is a resampled one with a class of fewer than 30 images; below 10 groups
    there is none. The calibration error has none, and neither has a number that no resample changes, such as that of a
    model without a mistake. low and high are None where there is none.
    """
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    units = units_of(len(labels), groups)
    found: dict[str, Interval | None] = {"auroc": _auroc_interval(probabilities, labels, groups)}
    if units.kind == "images":
        found |= confusion_intervals(_table(labels, predicted, classes))
    else:
        found |= {name: _grouped(labels, predicted, name, units) for name in COUNTED}
    nothing = {"low": None, "high": None, "n": len(labels), "interval": NONE, "over": None, "claim": None}
    return {name: _shown(kept) if (kept := found.get(name)) else dict(nothing) for name in METRICS}


def confusion_intervals(table: np.ndarray) -> dict[str, Interval]:
    """Intervals of what follows from a confusion matrix (true, predicted) of independent images, by metric."""
    n = int(table.sum())
    cells = np.random.default_rng(0).multinomial(n, table.ravel() / n, size=RESAMPLES).reshape(-1, *table.shape)
    small = _smallest_class(table) < SMALL_CLASS
    found = {"accuracy": wilson_interval(int(table.trace()), n)}
    for name in COUNTED[1:]:
        values = table_metric(cells, name)
        if np.isfinite(values).all():
            text = f"95% bootstrap over {n} images{ABOUT if small else ''}"
            found[name] = _percentile(float(table_metric(table, name)), values, n, text)
    if small:
        found["balanced_accuracy"] = jeffreys_interval(table)
    return found


def jeffreys_interval(table: np.ndarray, seed: int = 0) -> Interval:
    """Balanced accuracy of a confusion matrix (true, predicted) of independent images, right for small classes too.

    Draws each recall from Beta(hits + 1/2, misses + 1/2) and takes percentiles of 9,999 means over the classes present.
    One seed gives one result. Source: Jeffreys' prior of a share.
    """
    hits, n = _recalls(table)
    draws = np.random.default_rng(seed).beta(hits + 0.5, n - hits + 0.5, size=(RECALL_DRAWS, n.size))
    text = f"95% Jeffreys by class over {int(n.sum())} images"
    return _percentile(float((hits / n).mean()), draws.mean(axis=1), int(n.sum()), text)


def small_classes(labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    """A sentence for each class with 1 to 9 test images, whose recall is hardly known. labels: (n,), integers."""
    n = np.bincount(labels, minlength=len(classes))
    return [
        f"'{name}' has {many} test image{'' if many == 1 else 's'}: hardly anything is known of its recall."
        for name, many in zip(classes, n, strict=True)
        if 0 < many < TINY_CLASS
    ]


def _table(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _recalls(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and images of each class present."""
    n, hits = table.sum(axis=1), table.diagonal()
    return hits[n > 0], n[n > 0]


def _smallest_class(table: np.ndarray) -> int:
    return int(_recalls(table)[1].min())


def _grouped(labels: np.ndarray, predicted: np.ndarray, metric: CountedMetric, units: Units) -> Interval:
    n = len(units.names)
    if n < LEAST_GROUPS:
        return Interval(float("nan"), None, None, n, f"none: fewer than {LEAST_GROUPS} groups")
    found = bootstrap_interval(labels, predicted, metric, groups=units.of_image.tolist(), resamples=RESAMPLES)
    if not np.isfinite([found.low or 0.0, found.high or 0.0]).all():
        return Interval(found.mean, None, None, n, "none: the metric is undefined on some resamples")
    return replace(found, interval=found.interval + (ABOUT if n < FEW_GROUPS else ""))


def _percentile(whole: float, values: np.ndarray, n: int, text: str) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(whole, float(low), float(high), n, text, "images", model_claim("images"))


def _auroc_interval(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str | None] | None
) -> Interval | None:
    """Of the mean AUROC over classes, each against the rest, by leaving out one image or group at a time; in [0, 1]."""
    return of_measured(measure("auroc", labels, probabilities=probabilities[None], groups=groups)).interval()


def _shown(found: Interval) -> dict[str, Any]:
    if found.low is not None and found.low == found.high:
        found = Interval(found.mean, None, None, found.n, f"none: {NO_SPREAD}")
    return {name: value for name, value in found.as_dict().items() if name != "mean"}
