"""How accuracy moves with the number of sentences, and choosing sentences without measuring on what chose them.

Choosing is training: each fold of patients is measured with sentences that were ordered, or dropped, on the other
folds. A set chosen in the end on all these images is measured on the test part once, by a run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.controls import as_row, measured
from core.descriptions.evidence.random_words import Draw
from core.descriptions.evidence.scores import Place, SentenceScores
from core.descriptions.evidence.sentences import too_few, weigh_sentences
from core.errors import InvalidInput, InvalidOption, TooFewImages

Order = Literal["given", "random", "evidence", "diversity"]
Filter = Literal["effect", "harmful"]
ORDERS: tuple[Order, ...] = ("given", "random", "evidence", "diversity")
FOLDS, RANDOM_ORDERS = 5, 10
EACH = 12
"""Numbers of sentences up to this are all measured, larger ones in steps of a quarter."""
Kept = list[list[int]]
"""Of each class the numbers of its sentences, in order."""


def numbers(most: int) -> list[int]:
    """Numbers of sentences a class to measure: each up to 12, then in steps of a quarter, and the largest."""
    found = list(range(1, min(most, EACH) + 1))
    while found[-1] < most:
        found.append(min(most, found[-1] + max(1, found[-1] // 4)))
    return found


def folds(scores: SentenceScores, count: int = FOLDS, seed: int = 0) -> list[np.ndarray]:
    """Masks (images,) of the images held out in turn; images of one group are never on both sides.

    Units are dealt out class by class, so that folds hold the classes alike. Fewer folds where a class is held by
    fewer units. Raises TooFewImages where one unit holds a class.
    """
    images = scores.images
    count = min(count, images.fewest_of_class)
    if count < 2:
        raise TooFewImages(
            "Choosing sentences needs two groups or images of each class", "a class has one", "Choose more shots."
        )
    fold_of = np.full(images.n_units, -1)
    stream, turn = random.Random(seed), 0
    for label in np.argsort(images.units_per_class, kind="stable"):
        own = [u for u in np.unique(images.units.of_image[images.labels == label]).tolist() if fold_of[u] < 0]
        stream.shuffle(own)
        for u in own:
            fold_of[u] = turn % count
            turn += 1
    masks = [fold_of[images.units.of_image] == fold for fold in range(count)]
    return [mask for mask in masks if mask.any()]


def ordered(scores: SentenceScores, order: Order, seed: int = 0) -> Kept:
    """The sentences of each class in an order, found on the images of `scores`.

    evidence: by leave-one-out effect on the log-likelihood, highest first. diversity: the one farthest from the class
    mean first, then always the one farthest from it and all before. Raises InvalidOption for an unknown order.
    """
    if order == "given":
        return [list(range(len(texts))) for texts in scores.sentences]
    if order == "random":
        stream = random.Random(seed)
        return [stream.sample(range(len(texts)), len(texts)) for texts in scores.sentences]
    if order == "evidence":
        return [_by_effect(scores, c) for c in range(len(scores.classes))]
    if order == "diversity":
        return [_farthest_first(rows) for rows in scores.features]
    raise InvalidOption(f"Orders are {', '.join(ORDERS)}", f"found '{order}'", "Choose one of them.")


def filtered(scores: SentenceScores, rule: Filter, draw: Draw | None = None, replacements: int = 999) -> Kept:
    """The sentences of each class that a filter leaves, in the given order, found on the images of `scores`.

    effect: those that do not lower the log-likelihood when added last. harmful: those without that verdict, for which
    `draw` gives random sentences. A class keeps its best sentence whatever the rule says.
    """
    if rule == "effect":
        bad = {place for place in scores.places if (effect(scores, place) or 0.0) < 0}
    elif draw is None:
        raise InvalidInput("The filter by verdict needs random sentences", "found none")
    elif too_few(scores):
        bad = set()
    else:
        rows = weigh_sentences(scores, draw, replacements)
        bad = {place for place, row in zip(scores.places, rows, strict=True) if row.verdict == "harmful"}
    kept = [[p.index for p in scores.places if p.label == c and p not in bad] for c in range(len(scores.classes))]
    return [found or _by_effect(scores, c)[:1] for c, found in enumerate(kept)]


def effect(scores: SentenceScores, place: Place) -> float | None:
    """Leave-one-out effect on the log-likelihood, in nats; None for the only sentence of a class."""
    rest = scores.log_likelihood_without(place)
    return None if rest is None else scores.log_likelihood - rest


def curve(
    scores: SentenceScores,
    draw: Draw | None = None,
    *,
    replacements: int = 999,
    seed: int = 0,
    count: int = FOLDS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Accuracy and log-likelihood by number of sentences a class, and after filters: {rows, filters, declines, folds}.

    Each image is measured with what the other folds chose. rows: one for each order and n (a class with fewer has all
    of its own), with accuracy and log_likelihood as `controls` gives them. filters: one a rule, with the sentences kept
    on average and the difference to all sentences; "harmful" only with `draw`. declines: the sentences that lower the
    log-likelihood most where they are added in the given order (all classes growing together).
    """
    masks = folds(scores, count, seed)
    steps = numbers(max(len(texts) for texts in scores.sentences))
    rows = []
    for done, order in enumerate(ORDERS):
        draws = range(RANDOM_ORDERS) if order == "random" else range(1)
        by_draw = [_cross_fitted_steps(scores, masks, steps, order, seed + number) for number in draws]
        for at, n in enumerate(steps):
            values = [np.stack([found[measure][at] for found in by_draw]) for measure in (0, 1)]
            rows.append({"order": order, "n": n, **_measures(scores, *values)})
        if progress:
            progress(done + 1, len(ORDERS))
    return {
        "rows": rows,
        "filters": list(_filters(scores, masks, draw, replacements)),
        "declines": declines(scores),
        "folds": len(masks),
    }


def declines(scores: SentenceScores, most: int = 10) -> list[dict[str, Any]]:
    """Sentences that lower the log-likelihood where they join those before them, the worst first.

    Classes grow together in the given order: sentence n of a class joins n - 1 of each. change in nats. Descriptive:
    on the same images, and without a test.
    """
    found: list[dict[str, Any]] = []
    for place in scores.places:
        if place.index:
            before = scores.chosen([list(range(min(place.index, len(texts)))) for texts in scores.sentences])
            kept = [list(range(min(place.index, len(texts)))) for texts in scores.sentences]
            kept[place.label].append(place.index)
            change = scores.chosen(kept).log_likelihood - before.log_likelihood
            found.append({"class": scores.classes[place.label], "n": place.index + 1, "sentence": scores.text(place),
                          "change": change})  # fmt: skip
    return sorted((row for row in found if row["change"] < 0), key=lambda row: row["change"])[:most]


def choose_sentences(
    scores: SentenceScores,
    *,
    order: Order = "evidence",
    n: int | None = None,
    rule: Filter | None = None,
    draw: Draw | None = None,
    replacements: int = 999,
    seed: int = 0,
) -> DescriptionSet:
    """A smaller set, chosen on all images of `scores`, that a run can take as its descriptions.

    n: how many of each class, in an order; rule: dropped before that. What it is worth is for a run to measure on the
    test part, once: on the images that chose it, it looks better than it is. Raises InvalidOption for n below 1.
    """
    if n is not None and n < 1:
        raise InvalidOption("At least 1 sentence for each class", f"found {n}", "Choose 1 or more.")
    left = filtered(scores, rule, draw, replacements) if rule else ordered(scores, "given")
    smaller = scores.chosen(left)
    final = smaller.chosen([kept[:n] for kept in ordered(smaller, order, seed)])
    how = [f"without those of filter '{rule}'"] * bool(rule) + [f"first {n} of each class by {order}"] * (n is not None)
    images = f"chosen on {len(scores.images)} training images"
    return DescriptionSet(dict(zip(scores.classes, final.sentences, strict=True)), ", ".join([images, *how]))


def _by_effect(scores: SentenceScores, label: int) -> list[int]:
    effects = [effect(scores, Place(label, j)) or 0.0 for j in range(len(scores.sentences[label]))]
    return np.argsort(-np.array(effects), kind="stable").tolist()


def _farthest_first(features: np.ndarray) -> list[int]:
    distance = np.linalg.norm(features - features.mean(axis=0), axis=1)
    found: list[int] = []
    while len(found) < len(features):
        distance[found] = -1.0
        found.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(features - features[found[-1]], axis=1))
    return found


def _cross_fitted_steps(
    scores: SentenceScores, masks: Sequence[np.ndarray], steps: Sequence[int], order: Order, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hits and log-likelihoods (steps, images), each image with the order found on the other folds."""
    hits, likelihoods = np.empty((len(steps), len(scores.images))), np.empty((len(steps), len(scores.images)))
    for mask in masks:
        kept = ordered(scores.on(scores.images.narrowed(~mask)), order, seed)
        held = scores.on(scores.images.narrowed(mask))
        for at, n in enumerate(steps):
            smaller = held.chosen([found[:n] for found in kept])
            hits[at, mask], likelihoods[at, mask] = smaller.hits, smaller.log_likelihoods
    return hits, likelihoods


def _filters(
    scores: SentenceScores, masks: Sequence[np.ndarray], draw: Draw | None, replacements: int
) -> Iterator[dict[str, Any]]:
    rules: tuple[Filter, ...] = ("effect", "harmful") if draw else ("effect",)
    for rule in rules:
        hits, likelihoods, left = np.empty(len(scores.images)), np.empty(len(scores.images)), []
        for mask in masks:
            kept = filtered(scores.on(scores.images.narrowed(~mask)), rule, draw, replacements)
            smaller = scores.on(scores.images.narrowed(mask)).chosen(kept)
            hits[mask], likelihoods[mask] = smaller.hits, smaller.log_likelihoods
            left.append(sum(len(found) for found in kept))
        row = _measures(scores, hits[None], likelihoods[None])
        apart = _measures(scores, (hits - scores.hits)[None], (likelihoods - scores.log_likelihoods)[None])
        yield {"filter": rule, "sentences": float(np.mean(left)), **row, "difference": apart}


def _measures(scores: SentenceScores, hits: np.ndarray, likelihoods: np.ndarray) -> dict[str, Any]:
    """Both measures of values (draws, images)."""
    return {
        "accuracy": as_row(measured(scores, hits), len(hits)),
        "log_likelihood": as_row(measured(scores, likelihoods), len(likelihoods)),
    }
