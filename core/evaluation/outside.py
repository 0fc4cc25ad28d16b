"""How unlike the images a model learned from a new image is: distance to the nearest of them, and a p-value.

A small p says "stranger than nearly all images kept aside". It finds some shifts and misses others, see
docs/explanation/calibration.md, so it is never one number for "safe". Source: k nearest neighbours, Sun et al. 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEW_SHOTS = 50
FEW_NEIGHBOURS, MORE_NEIGHBOURS = 1, 5
OUTSIDE_P = 0.05
"""At or below this a model says that it has seen nothing like the image: a false alarm for 1 of 20 images at most."""
SHOWN = 3


@dataclass(frozen=True)
class Neighbours:
    """score: distance (images,) to the k-th nearest training image. places, distances: the nearest, (images, shown)."""

    score: np.ndarray
    places: np.ndarray
    distances: np.ndarray


def neighbours_counted(n_train: int) -> int:
    """Which neighbour's distance is the score: the nearest below 50 training images, else the fifth."""
    return FEW_NEIGHBOURS if n_train < FEW_SHOTS else MORE_NEIGHBOURS


def nearest_images(features: np.ndarray, seen: np.ndarray, shown: int = SHOWN) -> Neighbours:
    """Distances 1 - cosine, in [0, 2], of unit-norm features (images, width) to those seen (n_train, width)."""
    distances = 1 - features @ seen.T
    order = np.argsort(distances, axis=1, kind="stable")
    ranked = np.take_along_axis(distances, order, axis=1)
    k = min(neighbours_counted(len(seen)), len(seen))
    return Neighbours(ranked[:, k - 1], order[:, :shown], ranked[:, :shown])


def distances_inside(seen: np.ndarray, groups: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """The score of training images at `places` among those of other groups (patients), where there are any."""
    k = neighbours_counted(len(seen))
    found = []
    for at in places:
        others = np.sort(1 - seen[groups != groups[at]] @ seen[at])
        if len(others):
            found.append(others[min(k, len(others)) - 1])
    return np.array(found, dtype=np.float64)


def outside_p(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray | None:
    """(1 + calibration distances at least as large) / (n + 1) for each score; None without calibration distances."""
    if not len(calibration):
        return None
    ordered = np.sort(np.asarray(calibration, dtype=np.float64))
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + at_least) / (1 + len(ordered)))
