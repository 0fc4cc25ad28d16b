"""Which class a sentence lies nearest to, and which sentences lie far from their own, by features of a text tower.

A class's centre is the unit mean of its sentences' features, the sentence in question left out. Outliers go by the
median absolute deviation, as BiomedCoOp announces for its selection of descriptions: (median - score) / (1.4826 MAD),
score being the cosine with the own centre; only sentences that are too far away count, not those that are too near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.finding import Finding
from core.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

FEWEST_SENTENCES = 5
"""A class with fewer has no centre to speak of."""
OUTLIER_LIMIT = 3.5
NORMAL_MAD = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""


def closeness_findings(descriptions: DescriptionSet, features: Tensor) -> list[Finding]:
    """Findings of the kinds near_other_class and outlier, class by class.

    features: (sentences, width), unit rows in the order of the classes and their sentences. Classes of fewer than
    FEWEST_SENTENCES are left out. Raises InvalidInput for another number of rows.
    """
    rows = [(name, text) for name, texts in descriptions.sentences.items() for text in texts]
    if len(features) != len(rows):
        raise InvalidInput(
            f"One feature for each of the {len(rows)} sentences", f"found {len(features)}", "Encode all of them."
        )
    judged = [name for name, texts in descriptions.sentences.items() if len(texts) >= FEWEST_SENTENCES]
    places = {name: [place for place, row in enumerate(rows) if row[0] == name] for name in judged}
    found = [*_near_others(features, places), *_outliers(features, places)]
    return [Finding(*rows[place], kind, detail) for place, kind, detail in sorted(found)]


def _near_others(features: Tensor, places: dict[str, list[int]]) -> Iterator[tuple[int, str, str]]:
    if len(places) < 2:
        return
    cosines = features @ _unit_sums(features, places).T
    for number, own in enumerate(places.values()):
        to_own, others = _to_own_centre(features[own]), cosines[own].clone()
        others[:, number] = -2.0
        best, which = others.max(1)
        for place, near, other, nearest in zip(own, to_own, best, which.tolist(), strict=True):
            if other > near:
                nearer = list(places)[nearest]
                detail = f"lies nearer to '{nearer}' (cosine {other:.2f}) than to its own class ({near:.2f})"
                yield place, "near_other_class", detail


def _outliers(features: Tensor, places: dict[str, list[int]]) -> Iterator[tuple[int, str, str]]:
    for own in places.values():
        scores = _to_own_centre(features[own])
        deviations = robust_deviations(scores.tolist())
        for place, score, away in zip(own, scores, deviations, strict=True):
            if away > OUTLIER_LIMIT:
                detail = f"unlike the others of its class: cosine {score:.2f}, {away:.1f} deviations below their median"
                yield place, "outlier", detail


def robust_deviations(scores: Sequence[float]) -> list[float]:
    """How many deviations each score lies below the median, a deviation being 1.4826 times the median absolute one.

    All 0 where half of the scores or more are the same.
    """
    middle = median(scores)
    spread = NORMAL_MAD * median(abs(score - middle) for score in scores)
    return [(middle - score) / spread if spread > 0 else 0.0 for score in scores]


def _unit_sums(features: Tensor, places: dict[str, list[int]]) -> Tensor:
    from torch import stack
    from torch.nn.functional import normalize

    return normalize(stack([features[own].sum(0) for own in places.values()]), dim=-1)


def _to_own_centre(features: Tensor) -> Tensor:
    """Cosine of each row with the unit mean of the other rows."""
    from torch.nn.functional import normalize

    return (features * normalize(features.sum(0) - features, dim=-1)).sum(1)
