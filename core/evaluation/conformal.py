"""Prediction sets that hold the true class with a stated probability, from images that took no part in training.

Split conformal: Vovk et al. 2005; Papadopoulos et al. 2002. The score of a class is 1 minus its probability (LAC,
Sadinle et al. 2019). Cross-conformal: Vovk 2015; with folds of one image it is the p-value of the jackknife+ (Barber et
al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.evaluation.intervals import wilson_interval

LEVEL = 0.9
"""Share of sets that are to hold the true class."""
ROUNDING = 1e-9


def percent(share: float) -> str:
    """A share in words: "90 %"."""
    return f"{100 * share:.0f} %"


def lac_scores(probabilities: np.ndarray) -> np.ndarray:
    """How strange each class is: 1 - its probability. Same shape, in [0, 1]."""
    return 1 - np.asarray(probabilities, dtype=np.float64)


def images_needed(level: float = LEVEL) -> int:
    """The fewest calibration images with which a set of this level exists: 9 for 90 %, 19 for 95 %."""
    return math.ceil(1 / (1 - level) - ROUNDING) - 1


def highest_level(n: int) -> float:
    """The highest level of which a set exists with n calibration images: n / (n + 1)."""
    return n / (n + 1)


def set_threshold(scores: np.ndarray, level: float = LEVEL) -> float | None:
    """The k-th smallest calibration score, k = ceil((n + 1) level); None where k > n: no set exists."""
    found = np.sort(np.asarray(scores, dtype=np.float64))
    k = math.ceil((len(found) + 1) * level - ROUNDING)
    return float(found[k - 1]) if k <= len(found) else None


def unlucky_coverage(n: int, level: float = LEVEL) -> float | None:
    """The true coverage that 1 of 20 draws of n calibration images stays below: a quantile of Beta(k, n + 1 - k)."""
    from scipy.stats import beta

    k = math.ceil((n + 1) * level - ROUNDING)
    return float(beta.ppf(0.05, k, n + 1 - k)) if k <= n else None


def class_p_values(scores: Sequence[np.ndarray], of_classes: Sequence[np.ndarray]) -> np.ndarray:
    """p of each class of each new image: (1 + calibration scores at least as strange) / (n + 1), (images, classes).

    scores: of calibration images, an array a fold; one fold is split conformal. of_classes: scores of the new images by
    the model that scored the fold's images, (images, classes) each.
    """
    at_least = np.zeros(np.shape(of_classes[0]))
    for calibration, candidates in zip(scores, of_classes, strict=True):
        ordered = np.sort(np.asarray(calibration, dtype=np.float64))
        at_least += len(ordered) - np.searchsorted(ordered, np.asarray(candidates, dtype=np.float64), side="left")
    return (1 + at_least) / (1 + sum(len(calibration) for calibration in scores))


def members(p_values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Which classes are in the set: p > 1 - level."""
    return p_values > 1 - level + ROUNDING


def measured_sets(inside: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """What sets did on labelled images that calibrated nothing.

    inside: (images, classes), bool. Gives coverage with Wilson's low and high, n, mean size, the shares of sets with
    one class, none and all, and per class {class, n, coverage, low, high, size}.
    """
    held = inside[np.arange(len(labels)), labels]
    size = inside.sum(axis=1)
    whole = _covered(held, size)
    rows = [{"class": name} | _covered(held[labels == at], size[labels == at]) for at, name in enumerate(classes)]
    shares = {"single": size == 1, "empty": size == 0, "full": size == inside.shape[1]}
    return whole | {name: float(found.mean()) for name, found in shares.items()} | {"per_class": rows}


def _covered(held: np.ndarray, size: np.ndarray) -> dict[str, Any]:
    if not len(held):
        return {"n": 0, "coverage": None, "low": None, "high": None, "size": None}
    found = wilson_interval(int(held.sum()), len(held))
    size_mean = float(size.mean())
    return {"n": len(held), "coverage": found.mean, "low": found.low, "high": found.high, "size": size_mean}
