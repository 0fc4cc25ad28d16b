"""Sentences that seem to tell of another class: by the images they are close to and by the wording of the other ones.

Both are taken of what a sentence tells beside the name of its class. By images: its cosines with the mean of each
class's images, each class's cosines brought to mean 0 and deviation 1 over all sentences, since the images of some
classes are close to whatever is said. By wording: its cosines with the unit sums of each class's sentences, itself left
out. Each margin, of the other class over its own, counts in robust deviations from the median sentence; a sentence is
suspected where some class is closer than its own in both and the two margins add up to more than `LEAST_DEVIATIONS`.
Where images and wording together know fewer than half of the sentences for their own class, nothing can be told from
either, and none is suspected.

This is a rule of thumb and no test: of a set there are always some sentences that are the least like the others. How
many it finds and how many it suspects wrongly: `python -m benchmarks.description_checks --images`.
"""

from __future__ import annotations

import numpy as np

from core.descriptions.evidence.scores import SentenceScores, unit
from core.descriptions.findings.deviation import robust_deviations
from core.descriptions.findings.other_class import is_recognised

LEAST_DEVIATIONS = 4.0
FEWEST_SENTENCES = 4
"""A class with fewer has no wording to speak of."""


def suspects(scores: SentenceScores) -> list[str | None]:
    """For each sentence, in the order of `scores.places`, the class it seems to tell of, or None.

    None for all where features without names are not known, a class has no image or fewer than `FEWEST_SENTENCES`, or
    most sentences are not known for their own class.
    """
    nothing: list[str | None] = [None] * len(scores.places)
    few = min(len(texts) for texts in scores.sentences) < FEWEST_SENTENCES
    if scores.nameless is None or few or len(scores.classes) < 2 or np.isnan(scores.centroids).any():
        return nothing
    labels = np.array([place.label for place in scores.places])
    told = (_to_images(scores), _to_wordings(scores.nameless, labels))
    if not is_recognised(_closer_by(np.sum([_one_scale(each) for each in told], axis=0), labels).max(axis=1).tolist()):
        return nothing
    closer = [_closer_by(cosines, labels) for cosines in told]
    both = np.minimum(*closer)
    each = [robust_deviations((-margins.max(axis=1)).tolist()) for margins in closer]
    found = [
        scores.classes[int(margins.argmax())] if margins.max() > 0 and away > LEAST_DEVIATIONS else None
        for margins, away in zip(both, np.sum(each, axis=0), strict=True)
    ]
    return found


def _to_images(scores: SentenceScores) -> np.ndarray:
    """Cosines with the images of each class, brought to one scale: (sentences, classes)."""
    assert scores.nameless is not None
    return _one_scale(np.concatenate(scores.nameless) @ scores.centroids.T)


def _to_wordings(nameless: tuple[np.ndarray, ...], labels: np.ndarray) -> np.ndarray:
    """Cosines with the other sentences of each class: (sentences, classes)."""
    rows, sums = np.concatenate(nameless), np.stack([own.sum(axis=0) for own in nameless])
    found = rows @ unit(sums).T
    at = np.arange(len(rows))
    found[at, labels] = (rows * unit(sums[labels] - rows)).sum(axis=1)
    return found


def _one_scale(cosines: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 for each class over all sentences."""
    spread = cosines.std(axis=0)
    return (cosines - cosines.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _closer_by(cosines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By how much each class is closer than the sentence's own, which is never: (sentences, classes)."""
    found = cosines - cosines[np.arange(len(labels)), labels][:, None]
    found[np.arange(len(labels)), labels] = -np.inf
    return found
