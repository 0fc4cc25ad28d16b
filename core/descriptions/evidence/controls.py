"""Controls of a whole set: what classification owes to its sentences rather than to having any.

Template only; random words around the class names, as many sentences and words; the same sentences with "it" for the
name; the same sentences dealt to other classes. A set may be no better than random words, and that is said.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.descriptions.evidence.random_words import VOCABULARIES, Draw, Frame, Vocabulary
from core.descriptions.evidence.scores import Encode, SentenceScores
from core.descriptions.templates import PLAIN
from core.evaluation.two_part import TwoPart, two_part, undefined

DRAWS = 39
"""Sets of random words: as many as it takes for a set that is better than each of them to have p = `LEVEL`."""
DEALT = 20
"""Most ways of dealing sentences to other classes."""
LEVEL = 0.025
"""How often a set of random words may be called better than random words: one side of the usual 5 %."""
MEASURES = ("accuracy", "log_likelihood")
CLAIM = "these sentences on this backbone, over new patients like those of these images and new draws of the control"


@dataclass(frozen=True)
class Control:
    """A set of prototypes to compare with: per image and draw. hits, log_likelihoods: (draws, images)."""

    name: str
    hits: np.ndarray
    log_likelihoods: np.ndarray

    @classmethod
    def of(cls, name: str, drawn: Sequence[SentenceScores]) -> Control:
        """From the sets of each draw."""
        return cls(name, np.stack([s.hits for s in drawn]), np.stack([s.log_likelihoods for s in drawn]))

    def values(self, measure: str) -> np.ndarray:
        """(draws, images) of accuracy or log_likelihood."""
        return self.hits if measure == "accuracy" else self.log_likelihoods


def controls(
    scores: SentenceScores, draw: Draw, encode: Encode, *, template: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """The set and its controls: {set, template, random_everyday, random_radiological, without_names, wrong_classes,
    better_than_random_words, claim}.

    Each of the controls has accuracy and log_likelihood (mean, low, high, ... and `difference`, the set less the
    control), class averages on the images of `scores`; n_draws says over how many draws. Intervals have two parts
    where several were drawn; none below 10 units. Random words have `p` too, the share of their sets that do at least
    as well, the set itself among them: (1 + #{random >= set}) / (draws + 1). A set of random words is one more draw, so
    that p holds for it whatever the images, and however far and unevenly random sets scatter. better_than_random_words
    asks of the log-likelihood, for both vocabularies, p of at most 0.025 and an interval of `difference` above 0, which
    makes it no matter of these patients; None without interval. template: a sentence with {} for the name.
    """
    own = Control.of("set", [scores])
    others = [
        Control.of("template", [_template(scores, template or PLAIN, encode)]),
        *(Control.of(f"random_{v}", list(random_sets(scores, v, draw))) for v in VOCABULARIES),
        Control.of("without_names", [without_names(scores, encode)]),
        *([Control.of("wrong_classes", list(dealt_sets(scores, seed)))] if len(scores.classes) > 1 else []),
    ]
    found: dict[str, Any] = {"set": _row(scores, own), **{other.name: _row(scores, other, own) for other in others}}
    for control in others[1 : 1 + len(VOCABULARIES)]:
        for measure in MEASURES:
            found[control.name][measure]["p"] = rank_p(scores, own, control, measure)
    better = _better([found[f"random_{v}"]["log_likelihood"] for v in VOCABULARIES])
    return found | {"better_than_random_words": better, "answer": _answer(better), "claim": CLAIM}


def random_sets(
    scores: SentenceScores, vocabulary: Vocabulary, draw: Draw, draws: int = DRAWS
) -> Iterator[SentenceScores]:
    """The set with random words for all words but the class names, several times."""
    for number in range(draws):
        taken: dict[Frame, int] = {}
        features = []
        for label, (name, texts) in enumerate(zip(scores.classes, scores.sentences, strict=True)):
            rows = []
            for place, text in enumerate(texts):
                frame = Frame.of(text, name)
                if not frame.words:
                    rows.append(scores.features[label][place])
                    continue
                # sentences of one frame take turns in its list, so that none stands twice in a draw
                at = taken.get(frame, 0)
                taken[frame] = at + 1
                rows.append(draw(frame, vocabulary, draws * (at + 1))[draws * at + number])
            features.append(np.stack(rows))
        yield replace(scores, features=tuple(features))


def without_names(scores: SentenceScores, encode: Encode) -> SentenceScores:
    """The set with "it" where a sentence has the name of its class."""
    texts = {
        name: [re.sub(rf"\b{re.escape(name)}", "it", text, flags=re.IGNORECASE) for text in sentences]
        for name, sentences in zip(scores.classes, scores.sentences, strict=True)
    }
    return SentenceScores.of(scores.images, texts, encode, scores.scale)


def dealt_sets(scores: SentenceScores, seed: int, draws: int = DEALT) -> Iterator[SentenceScores]:
    """The set with each class's sentences dealt to another class: all ways up to `draws`, else drawn ones."""
    classes = range(len(scores.classes))
    if len(scores.classes) <= 5:
        ways = [way for way in itertools.permutations(classes) if all(a != b for a, b in enumerate(way))]
        random.Random(seed).shuffle(ways)
    else:
        stream = random.Random(seed)
        ways = []
        while len(ways) < draws:
            way = tuple(stream.sample(classes, len(classes)))
            ways += [way] if all(a != b for a, b in enumerate(way)) else []
    for way in ways[:draws]:
        yield replace(
            scores,
            sentences=tuple(scores.sentences[c] for c in way),
            features=tuple(scores.features[c] for c in way),
        )


def _template(scores: SentenceScores, template: str, encode: Encode) -> SentenceScores:
    texts = {name: [template.replace("{}", name)] for name in scores.classes}
    return SentenceScores.of(scores.images, texts, encode, scores.scale)


def measured(scores: SentenceScores, values: np.ndarray) -> TwoPart:
    """The class average of values (draws, images) with its variance over draws and units."""
    images = scores.images
    kind = images.units.kind
    if images.fewest_of_class < 2:
        why = f"one {kind[:-1]} holds all images of a class"
        return undefined(float(images.class_average(values).mean()), len(values), images.n_units, kind, why)
    return two_part(images.pseudo_values(values), kind, images.fewest_of_class)


def as_row(found: TwoPart, draws: int) -> dict[str, Any]:
    """JSON form: draws of a control are called draws, not seeds, and the claim is this module's."""
    row = found.as_dict()
    row["interval"] = row["interval"].replace("seeds", "draws")
    kept = {name: row[name] for name in ("mean", "low", "high", "interval")}
    return kept | {"from_draws": row["from_draws"], "from_patients": row["from_patients"], "n_draws": draws}


def _row(scores: SentenceScores, control: Control, own: Control | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure in MEASURES:
        values = control.values(measure)
        found[measure] = as_row(measured(scores, values), len(values))
        if own is not None:
            apart = own.values(measure) - values
            found[measure]["difference"] = as_row(measured(scores, apart), len(values))
    return found


def rank_p(scores: SentenceScores, own: Control, control: Control, measure: str) -> float:
    """Share of the draws of a control, the set itself counted among them, that do at least as well as the set."""
    value, drawn = (scores.images.class_average(each.values(measure)) for each in (own, control))
    # equal accuracies are sums of the same weights in another order
    return float((1 + (drawn >= value - 1e-12).sum()) / (drawn.size + 1))


def _better(rows: Sequence[dict[str, Any]]) -> bool | None:
    if any(row["difference"]["low"] is None for row in rows):
        return None
    return all(row["p"] <= LEVEL and row["difference"]["low"] > 0 for row in rows)


def _answer(better: bool | None) -> str:
    if better is None:
        return "Whether the set is better than random words cannot be told: too few images or patients."
    return "Better than random words." if better else "No better than random words."
