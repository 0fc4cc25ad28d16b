"""What images say of each sentence of a set: agreement, effect with its interval, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import numpy as np

from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.random_words import VOCABULARIES, Draw
from core.descriptions.evidence.replacement import LEVEL, Tested, benjamini_hochberg, replacement_tests
from core.descriptions.evidence.scores import Place, SentenceScores, log_likelihoods
from core.descriptions.evidence.suspects import suspects
from core.evaluation.intervals import Interval
from core.evaluation.two_part import two_part, undefined

Verdict = Literal["helpful", "harmful", "cannot_tell"]
LEAST_UNITS = 6
"""Below so many groups (images, where no group is known) there is no verdict."""
LEAST_UNITS_OF_CLASS = 2
LEAST_FOR_INTERVAL = 10
"""Held by fewer units, a class makes intervals of effects too narrow: see `benchmarks.evidence_coverage`."""
CLAIM = "this sentence in this set on this backbone, over new patients like those of these images"


@dataclass(frozen=True)
class SentenceEvidence:
    """One sentence. Log-likelihoods and effects are in nats, accuracies are fractions; None where undefined.

    index: its place in its class, from 0. agreement: AUROC of its cosine, its class against the others. effect: how
    much it raises the log-likelihood of the set; low, high: its 95 % interval, of which `interval` says how it was made
    and `CLAIM` what it holds for. accuracy_change: what it adds to accuracy. smallest_effect: 95 % of random sentences
    in its place change less. closest_class: whose images it is closest to. p_help: against random words of the less
    telling vocabulary; p_everyday and p_radiological: the same by vocabulary; p_harm: against everyday words.
    p_adjusted: the corrected p of the side that the effect points to, or of the verdict. replacements: random sentences
    of each vocabulary. suspect_class: the class it seems to tell of rather than of its own; see `suspects`.
    """

    class_name: str
    index: int
    sentence: str
    agreement: float | None
    effect: float | None
    low: float | None
    high: float | None
    interval: str
    accuracy_change: float | None
    smallest_effect: float | None
    closest_class: str
    p_help: float | None
    p_harm: float | None
    p_everyday: float | None
    p_radiological: float | None
    p_help_adjusted: float | None
    p_harm_adjusted: float | None
    p_adjusted: float | None
    replacements: int
    verdict: Verdict
    reason: str
    suspect_class: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form; the key of the class is "class"."""
        row = asdict(self)
        return {"class": row.pop("class_name"), "sentence": row.pop("sentence"), **row}


def weigh_sentences(
    scores: SentenceScores,
    draw: Draw,
    replacements: int = 999,
    progress: Callable[[int, int], None] | None = None,
) -> list[SentenceEvidence]:
    """Evidence about each sentence, class by class. draw: of random sentences. See `replacement_tests`."""
    why = too_few(scores)
    tested = [None] * len(scores.places) if why else replacement_tests(scores, draw, replacements, progress)
    return judged(scores, tested, why)


def judged(scores: SentenceScores, tested: Sequence[Tested | None], why: str = "") -> list[SentenceEvidence]:
    """Evidence of sentences that were tested; None, and why in words, where they were not."""
    helps, harms = (
        [None] * len(tested) if None in tested else benjamini_hochberg([getattr(t, side) for t in tested])
        for side in ("p_help", "p_harm")
    )
    return [
        _evidence(scores, place, found, helped, harmed, why, suspect)
        for place, found, helped, harmed, suspect in zip(
            scores.places, tested, helps, harms, suspects(scores), strict=True
        )
    ]


def too_few(scores: SentenceScores) -> str:
    """Why no verdict is given on these images, or nothing."""
    images = scores.images
    if images.n_units < LEAST_UNITS:
        return f"Fewer than {LEAST_UNITS} {images.units.kind}: {images.n_units}."
    if (images.units_per_class < LEAST_UNITS_OF_CLASS).any():
        short = int(images.units_per_class.argmin())
        held = f"is held by {images.units_per_class[short]} of the {images.units.kind}"
        return f"'{scores.classes[short]}' {held}; {LEAST_UNITS_OF_CLASS} are needed."
    return ""


def effect_interval(scores: SentenceScores, place: Place) -> tuple[Interval, float] | None:
    """The effect of a sentence with its 95 % interval over units, and its change of accuracy; None for a lone one.

    The interval is the jackknife's over groups with Student's t, as for a single trained model: none where fewer than
    `LEAST_FOR_INTERVAL` units hold a class, "approximate" below 30 units.
    """
    logits = scores.without(place)
    if logits is None:
        return None
    images = scores.images
    gains = scores.log_likelihoods - log_likelihoods(logits, images.labels)
    lost = scores.hits - (logits.argmax(axis=1) == images.labels)
    return average_interval(images, gains), float(images.class_average(lost))


def average_interval(images: EvidenceImages, values: np.ndarray) -> Interval:
    """The class average of values (images,) with its 95 % interval over units."""
    if images.fewest_of_class < LEAST_FOR_INTERVAL:
        why = f"{LEAST_FOR_INTERVAL} {images.units.kind} of each class are needed, one has {images.fewest_of_class}"
        nothing = undefined(float(images.class_average(values)), 1, images.n_units, images.units.kind, why)
        return nothing.interval()
    found = two_part(images.pseudo_values(values)[None], images.units.kind, images.fewest_of_class)
    return found.interval()


def summary_of(rows: Sequence[SentenceEvidence], scores: SentenceScores) -> dict[str, Any]:
    """How many verdicts of each kind, on how many images, and the smallest effect that could have been seen."""
    smallest = [row.smallest_effect for row in rows if row.smallest_effect is not None]
    return {
        "sentences": len(rows),
        "n_images": len(scores.images),
        "n_groups": scores.images.n_units,
        "groups": scores.images.units.kind,
        **{name: sum(row.verdict == name for row in rows) for name in ("helpful", "harmful", "cannot_tell")},
        "suspected": sum(row.suspect_class is not None for row in rows),
        "smallest_effect": median(smallest) if smallest else None,
        "claim": CLAIM,
    }


def _evidence(
    scores: SentenceScores,
    place: Place,
    tested: Tested | None,
    helped: float | None,
    harmed: float | None,
    why: str,
    suspect: str | None,
) -> SentenceEvidence:
    found = effect_interval(scores, place)
    interval, accuracy_change = found or (None, None)
    effect = interval.mean if interval else None
    verdict, reason = _verdict(scores, place, tested, helped, harmed, effect, why)
    vocabularies = [tally.p(tally.better) for tally in tested.tallies] if tested else [None] * len(VOCABULARIES)
    towards_help = (tested.p_help <= tested.p_effect if tested else True) if effect is None else effect > 0
    return SentenceEvidence(
        class_name=scores.classes[place.label],
        index=place.index,
        sentence=scores.text(place),
        agreement=scores.agreement(place),
        effect=effect,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=interval.interval if interval else "none: the only sentence of its class",
        accuracy_change=accuracy_change,
        smallest_effect=tested.smallest_effect if tested else None,
        closest_class=scores.closest_class(place),
        p_help=tested.p_help if tested else None,
        p_harm=tested.p_harm if tested else None,
        p_everyday=vocabularies[VOCABULARIES.index("everyday")],
        p_radiological=vocabularies[VOCABULARIES.index("radiological")],
        p_help_adjusted=helped,
        p_harm_adjusted=harmed,
        p_adjusted=harmed if verdict == "harmful" or not towards_help else helped,
        replacements=tested.count if tested else 0,
        verdict=verdict,
        reason=reason,
        suspect_class=suspect,
    )


def _verdict(
    scores: SentenceScores,
    place: Place,
    tested: Tested | None,
    helped: float | None,
    harmed: float | None,
    effect: float | None,
    why: str,
) -> tuple[Verdict, str]:
    if tested is None or helped is None or harmed is None:
        return "cannot_tell", why
    closest = scores.closest(scores.told(place)[2])
    if harmed <= LEVEL and tested.p_margin <= tested.p_effect and closest != scores.classes[place.label]:
        return (
            "harmful",
            f"What it tells fits images of '{closest}' better than those of its class, more than everyday words do.",
        )
    if harmed <= LEVEL and tested.p_effect < tested.p_margin and (effect is None or effect < 0):
        return "harmful", "It lowers the log-likelihood more than everyday words in its place do."
    if helped <= LEVEL and (effect is None or effect > 0):
        return "helpful", "It raises the log-likelihood more than random words in its place do, of either vocabulary."
    if effect is not None and abs(effect) >= tested.smallest_effect:
        many = len(scores.places)
        return "cannot_tell", f"95 % of random words change less; of one among {many} sentences that is no proof."
    small = f"an effect below {tested.smallest_effect:.2g} nats cannot be told from that of random words"
    return "cannot_tell", f"With {_many(scores)}, {small}."


def _many(scores: SentenceScores) -> str:
    images = scores.images
    return f"{len(images)} images" + (f" of {images.n_units} groups" if images.units.kind == "groups" else "")
