"""Which class a sentence lies nearest to, and which sentences lie far from their own, by features of a text tower.

A class's centre is the unit mean of its sentences' features, the sentence in question left out. Nearest goes by what a
sentence tells, a neutral word in the place of each class's name: else the name would outweigh all the rest. Only
classes most of whose sentences lie nearest to each other are judged so, and only sentences that stand out from them.
Outliers go by the median absolute deviation, as BiomedCoOp announces for its selection of descriptions: (median -
score) / (1.4826 MAD), score being the cosine with the own centre; only sentences that are too far away count, not those
that are too near.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.deviation import robust_deviations
from core.descriptions.findings.finding import Finding
from core.descriptions.findings.other_class import strangers
from core.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

FEWEST_SENTENCES = 5
"""A class with fewer has no centre to speak of."""
OUTLIER_LIMIT = 3.5
LEAST_DEVIATION = 2.0
"""By so many deviations a sentence must be unlike those of its class before it counts as another one's."""


def closeness_findings(descriptions: DescriptionSet, features: Tensor, neutral: Tensor) -> list[Finding]:
    """Findings of the kinds near_other_class and outlier, class by class.

    features: (sentences, width), unit rows in the order of the classes and their sentences. neutral: the same of the
    sentences with a neutral word for the classes' names. Classes of fewer than FEWEST_SENTENCES are left out. Raises
    InvalidInput for another number of rows.
    """
    rows = [(name, text) for name, texts in descriptions.sentences.items() for text in texts]
    for found in (len(features), len(neutral)):
        if found != len(rows):
            raise InvalidInput(
                f"One feature for each of the {len(rows)} sentences", f"found {found}", "Encode all of them."
            )
    judged = [name for name, texts in descriptions.sentences.items() if len(texts) >= FEWEST_SENTENCES]
    places = {name: [place for place, row in enumerate(rows) if row[0] == name] for name in judged}
    findings = [*_near_others(neutral, places), *_outliers(features, places)]
    return [Finding(*rows[place], kind, detail) for place, kind, detail in sorted(findings)]


def _near_others(features: Tensor, places: dict[str, list[int]]) -> Iterator[tuple[int, str, str]]:
    if len(places) < 2:
        return
    cosines = features @ _unit_sums(features, places).T
    for number, own in enumerate(places.values()):
        to_own, others = _to_own_centre(features[own]), cosines[own].clone()
        others[:, number] = -2.0
        best, which = others.max(1)
        margins = (best - to_own).tolist()
        for at in strangers(margins, 0.0, LEAST_DEVIATION):
            nearer = list(places)[int(which[at])]
            near = f"cosine {float(best[at]):.2f}, {float(to_own[at]):.2f} with its own class"
            yield own[at], "near_other_class", f"lies nearer to what the others tell of '{nearer}' ({near})"


def _outliers(features: Tensor, places: dict[str, list[int]]) -> Iterator[tuple[int, str, str]]:
    for own in places.values():
        scores = _to_own_centre(features[own])
        deviations = robust_deviations(scores.tolist())
        for place, score, away in zip(own, scores, deviations, strict=True):
            if away > OUTLIER_LIMIT:
                detail = f"unlike the others of its class: cosine {score:.2f}, {away:.1f} deviations below their median"
                yield place, "outlier", detail


def _unit_sums(features: Tensor, places: dict[str, list[int]]) -> Tensor:
    from torch import stack
    from torch.nn.functional import normalize

    return normalize(stack([features[own].sum(0) for own in places.values()]), dim=-1)


def _to_own_centre(features: Tensor) -> Tensor:
    """Cosine of each row with the unit mean of the other rows."""
    from torch.nn.functional import normalize

    return (features * normalize(features.sum(0) - features, dim=-1)).sum(1)
