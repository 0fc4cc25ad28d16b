"""Sentences and images of all classes as points of a plane, with the table behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.descriptions.evidence.scores import SentenceScores, unit


def class_map(scores: SentenceScores) -> dict[str, Any]:
    """Sentences, prototypes and image centroids in two dimensions: {points, explained, projection}.

    points: one object each with kind (sentence, prototype or images), class, index and text (of sentences), x, y, and
    closest_class and cosine: the class whose images it is closest to by mean cosine. The plane is that of the first two
    principal components of the sentence features. Images and texts of such backbones lie apart, so centroids are
    centred by their own mean, not by that of the sentences: places tell directions, not distances between the two.
    explained: shares of the variance of sentences along x and y.
    """
    texts = np.concatenate(scores.features)
    centre = texts.mean(axis=0)
    axes, explained = _principal_axes(texts - centre)
    prototypes, centroids = unit(scores.sums), scores.centroids
    points = []
    for place, xy in zip(scores.places, (texts - centre) @ axes.T, strict=True):
        label, feature = place.label, scores.feature(place)
        points.append(
            _point("sentence", scores, label, xy, feature) | {"index": place.index, "text": scores.text(place)}
        )
    for label, xy in enumerate((prototypes - centre) @ axes.T):
        points.append(_point("prototype", scores, label, xy, prototypes[label]))
    apart = centroids - np.nanmean(centroids, axis=0)
    points += [
        _point("images", scores, label, xy, None) for label, xy in enumerate(apart @ axes.T) if np.isfinite(xy[0])
    ]
    return {
        "points": points,
        "explained": explained,
        "projection": "principal components of the sentence features; image centroids centred by their own mean",
    }


def _principal_axes(centred: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two right singular vectors (2, width), their largest entry positive, and their shares of variance."""
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    axes = np.zeros((2, centred.shape[1]))
    found = rows[:2] * np.sign(rows[:2, :][np.arange(len(rows[:2])), np.abs(rows[:2]).argmax(axis=1)])[:, None]
    axes[: len(found)] = found
    total = float((sizes**2).sum()) or 1.0
    shares = [*(sizes[:2] ** 2 / total).tolist(), 0.0, 0.0]
    return axes, shares[:2]


def _point(kind: str, scores: SentenceScores, label: int, xy: np.ndarray, feature: np.ndarray | None) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": kind, "class": scores.classes[label], "x": float(xy[0]), "y": float(xy[1])}
    if feature is not None:
        cosines = scores.centroids @ feature
        closest = int(np.nanargmax(cosines))
        row |= {"closest_class": scores.classes[closest], "cosine": float(cosines[closest])}
    return row
