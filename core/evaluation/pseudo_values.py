"""A metric of several seeds taken apart by test image or group, so that its uncertainty needs no resampling.

The pseudo-value of a unit (an image, or a group such as a patient) is what the metric owes to it: with G units
e_g = G A - (G - 1) A(without g), shifted so that their mean is A. Source: the jackknife of reader studies (Obuchowski
and Rockette, Communications in Statistics 1995), with seeds as readers and units as cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput

UnitKind = Literal["images", "groups"]


@dataclass(frozen=True)
class Units:
    """What varies when patients do: groups where they are known, else images.

    names: one a unit, in the order of all arrays over units. of_image: (n,), the place of each image's unit. kind: what
    they are called.
    """

    names: tuple[str, ...]
    of_image: np.ndarray
    kind: UnitKind


@dataclass(frozen=True)
class Measured:
    """One metric of each seed of a method on one test part, taken apart by unit.

    metric: a name of `PSEUDO_METRICS`. seeds: their numbers, in the order of the rows. per_seed: (seeds,), the metric.
    values: (seeds, units), pseudo-values whose row means are per_seed; None where one is undefined, and `why` says so
    in words. correct: (seeds, images), whether the most probable class was the true one. labels: (images,). images:
    names in the order of `correct`, None where not given. drawn: False where nothing is drawn, as in zero-shot, whose
    one row stands for every seed. fewest_of_class: how many units hold the rarest class, where the metric is an average
    over classes.
    """

    metric: str
    seeds: tuple[int, ...]
    per_seed: np.ndarray
    values: np.ndarray | None
    why: str
    units: Units
    correct: np.ndarray
    labels: np.ndarray
    images: tuple[str, ...] | None = None
    drawn: bool = True
    fewest_of_class: int | None = None

    @property
    def mean(self) -> float:
        """The metric, averaged over seeds."""
        return float(self.per_seed.mean())


def measure(
    metric: str,
    labels: Sequence[int] | np.ndarray,
    *,
    probabilities: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
    groups: Sequence[str | None] | None = None,
    images: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    drawn: bool = True,
) -> Measured:
    """A method's metric on one test part with the pseudo-values of its units.

    labels: (images,), integers from 0. probabilities: (seeds, images, classes), or predicted: (seeds, images), class
    numbers, which is enough for metrics of the most probable class. groups: of each image; one without counts as its
    own. images: names; with them all arrays are put in the order of the names, so that two methods can be paired.
    seeds: numbers of the rows, 1, 2, ... if not given. classes: their names, for `why`. Raises InvalidInput for lengths
    that differ, unknown metrics and metrics that need the probabilities.
    """
    y = np.asarray(labels, dtype=np.int64)
    p = None if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    told = np.asarray(predicted, dtype=np.int64) if p is None else p.argmax(axis=-1)
    _check(metric, y, told, p, groups, images)
    if seeds is not None and (len(seeds) != len(told) or len(set(seeds)) < len(told)):
        raise InvalidInput("Each row of answers has a seed of its own", f"found seeds {list(seeds)}, {len(told)} rows")
    units = units_of(y.size, groups, images)
    if images is not None:
        order = np.argsort(np.asarray(images), kind="stable")
        y, told, p = y[order], told[:, order], None if p is None else p[:, order]
        units = replace(units, of_image=units.of_image[order])
        images = [images[at] for at in order]
    return measure_ordered(
        metric, y, told, p, units, None if images is None else tuple(images), seeds=seeds, classes=classes, drawn=drawn
    )


def measure_ordered(
    metric: str,
    labels: np.ndarray,
    told: np.ndarray,
    probabilities: np.ndarray | None,
    units: Units,
    images: tuple[str, ...] | None,
    *,
    seeds: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    drawn: bool = True,
) -> Measured:
    """`measure` of arrays that are checked and in the order of `images`, whose units are known: for many at once.

    told: (seeds, images), the most probable class.
    """
    stated = None if probabilities is None else probabilities[None]
    (found,) = measure_rows(metric, labels, told[None], stated, units, images, classes=classes)
    return replace(found, seeds=found.seeds if seeds is None else tuple(seeds), drawn=drawn)


def measure_rows(
    metric: str,
    labels: np.ndarray,
    told: np.ndarray,
    probabilities: np.ndarray | None,
    units: Units,
    images: tuple[str, ...] | None,
    *,
    classes: Sequence[str] | None = None,
) -> list[Measured]:
    """`measure_ordered` of several methods with as many seeds, in one go.

    told: (methods, seeds, images). probabilities: the same with (classes,) behind. Seeds are numbered 1, 2, ...
    """
    answers = told if probabilities is None else probabilities
    whole, values, why = pseudo_values(metric, labels, answers, units.of_image)
    reasons = [why] * len(told)
    if why and len(told) > 1:  # what is undefined of one method may be known of the others
        alone = [pseudo_values(metric, labels, each, units.of_image) for each in answers]
        each_values, reasons = [found[1] for found in alone], [found[2] for found in alone]
    else:
        each_values = [None] * len(told) if values is None else list(values)
    named = classes or range(int(max(labels.max(), told.max())) + 1)
    fewest = _fewest_of_class(labels, units.of_image) if metric in CLASS_AVERAGES else None
    correct = told == labels
    return [
        Measured(
            metric=metric,
            seeds=tuple(range(1, told.shape[1] + 1)),
            per_seed=whole[at],
            values=each_values[at],
            why=reasons[at].format(unit=units.kind[:-1], classes=named),
            units=units,
            correct=correct[at],
            labels=labels,
            images=images,
            fewest_of_class=fewest,
        )
        for at in range(len(told))
    ]


def units_of(n: int, groups: Sequence[str | None] | None = None, images: Sequence[str] | None = None) -> Units:
    """The units of n images: groups where at least two images share one, else the images.

    Images without a group count as a group of their own. Names of units are "group NAME" and "image NAME", or "image 0"
    and so on without names.
    """
    own = [f"image {at}" for at in range(n)] if images is None else [f"image {name}" for name in images]
    known = [group for group in groups or () if group is not None]
    shared = len(set(known)) < len(known)
    given = groups if shared and groups is not None else [None] * n
    names = [alone if group is None else f"group {group}" for group, alone in zip(given, own, strict=True)]
    found, place = np.unique(np.asarray(names), return_inverse=True)
    return Units(tuple(map(str, found)), place, "groups" if shared else "images")


def pseudo_values(
    metric: str, labels: np.ndarray, answers: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """The metric, its pseudo-values, and why there are none where one is undefined.

    labels: (n,). answers: predicted classes (..., n), integers, or probabilities (..., n, classes), floats. unit: (n,),
    0 to units - 1. Returns (...,), (..., units) or None, and a text that is empty where they are defined; "{unit}" in
    it stands for what a unit is called and "{classes[0]}" for the name of a class. Leading axes are seeds, or
    repetitions and seeds. A class inside one unit leaves class-averaged metrics undefined: without that unit there
    would be nothing to average.
    """
    whole, without, why = _metric(metric)(labels, answers, unit, int(unit.max()) + 1)
    units = without.shape[-1]
    if not why and units < 2:
        why = "there is only one {unit}"
    if not why and not (np.isfinite(whole).all() and np.isfinite(without).all()):
        why = "the metric is undefined on these images, or without one {unit} of them"
    if why:
        return whole, None, why
    values = units * whole[..., None] - (units - 1) * without
    return whole, values - values.mean(axis=-1, keepdims=True) + whole[..., None], ""


Found = tuple[np.ndarray, np.ndarray, str]
"""The metric (...,), what it is without each unit (..., units), and why it has no pseudo-values, or nothing."""


def _check(
    metric: str,
    labels: np.ndarray,
    told: np.ndarray,
    probabilities: np.ndarray | None,
    groups: Sequence[str | None] | None,
    images: Sequence[str] | None,
) -> None:
    _metric(metric)
    if metric in NEED_PROBABILITIES and probabilities is None:
        raise InvalidInput(f"'{metric}' needs probabilities", "found predicted classes only", "Give probabilities.")
    lengths = [len(each) for each in (groups, images) if each is not None]
    if not labels.size or told.ndim != 2 or told.shape[1] != labels.size or any(n != labels.size for n in lengths):
        raise InvalidInput(
            "A metric by unit needs answers (seeds, images) and one label, group and name an image",
            f"found {labels.size} labels, answers of shape {told.shape}" + (f", {lengths} others" if lengths else ""),
        )


def _metric(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int], Found]:
    if name not in PSEUDO_METRICS:
        known = ", ".join(PSEUDO_METRICS)
        raise InvalidInput(f"Pseudo-values exist for {known}", f"found '{name}'", "Choose one of them.")
    return PSEUDO_METRICS[name]


def _per_unit(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Sums by unit: (..., n) to (..., units)."""
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(int(unit.max()) + 1))
    return np.add.reduceat(values[..., order], starts, axis=-1)


def _class_counts(of: np.ndarray, unit: np.ndarray, units: int, classes: int, keep: Any = None) -> np.ndarray:
    """How many images of each class a unit holds: (..., n) classes to (..., units, classes)."""
    rows = of.reshape(-1, of.shape[-1])
    place = (np.arange(len(rows))[:, None] * units + unit) * classes + rows
    weights = None if keep is None else np.broadcast_to(keep, of.shape).ravel().astype(float)
    counts = np.bincount(place.ravel(), weights, minlength=len(rows) * units * classes)
    return counts.reshape(*of.shape[:-1], units, classes).astype(float)


def _predicted(answers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Predicted classes (..., n), and the number of classes."""
    if np.issubdtype(answers.dtype, np.integer):
        return answers, int(max(answers.max(), labels.max())) + 1
    return answers.argmax(axis=-1), answers.shape[-1]


def _image_mean(values: np.ndarray, unit: np.ndarray) -> Found:
    """The mean over images of something each image has: (..., n)."""
    sums, n = _per_unit(values, unit), np.bincount(unit)
    total = sums.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return values.mean(axis=-1), (total - sums) / (n.sum() - n), ""


def _accuracy(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    return _image_mean((_predicted(answers, labels)[0] == labels).astype(float), unit)


def _brier(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    """Sum over classes of the squared distance to the truth; 0 to 2."""
    return _image_mean(((answers - np.eye(answers.shape[-1])[labels]) ** 2).sum(axis=-1), unit)


def _log_loss(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    """Minus the natural logarithm of the true class's probability, which counts as at least 2.2e-16."""
    true = answers[..., np.arange(labels.size), labels]
    least = np.finfo(float).eps
    return _image_mean(-np.log(np.clip(true, least, 1 - least)), unit)


def _fewest_of_class(labels: np.ndarray, unit: np.ndarray) -> int:
    """How many units hold the class, of those present, that the fewest do."""
    units = int(unit.max()) + 1
    held = np.bincount(labels * units + unit, minlength=(int(labels.max()) + 1) * units).reshape(-1, units)
    holders = np.count_nonzero(held, axis=1)
    return int(holders[holders > 0].min())


def _inside_one_unit(held: np.ndarray) -> str:
    """Why class averages have no pseudo-values, if so. held: (units, classes), images."""
    total = held.sum(axis=0)
    alone = (total > 0) & (held.max(axis=0) == total)
    if not alone.any():
        return ""
    return f"one {{unit}} holds all test images of class '{{classes[{int(np.flatnonzero(alone)[0])}]}}'"


def _balanced_accuracy(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    told, classes = _predicted(answers, labels)
    held = _class_counts(labels, unit, units, classes)
    hits = _class_counts(np.broadcast_to(labels, told.shape), unit, units, classes, told == labels)
    present = held.any(axis=0)
    n, found = held.sum(axis=0)[present], hits.sum(axis=-2, keepdims=True)[..., present]
    with np.errstate(invalid="ignore", divide="ignore"):
        without = ((found - hits[..., present]) / (n - held[:, present])).mean(axis=-1)
    return (found[..., 0, :] / n).mean(axis=-1), without, _inside_one_unit(held)


def _macro_f1(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    """Classes that occur or are predicted on the whole part stay in the mean whichever unit is left out.

    Otherwise one wrong answer that names a class without images would move the number of classes, and with it the mean.
    """
    told, classes = _predicted(answers, labels)
    held = _class_counts(labels, unit, units, classes)
    hits = _class_counts(np.broadcast_to(labels, told.shape), unit, units, classes, told == labels)
    both = held + _class_counts(told, unit, units, classes)
    all_hits, all_both = (each.sum(axis=-2, keepdims=True) for each in (hits, both))
    counted = all_both > 0
    without = 2 * (all_hits - hits) / np.maximum(all_both - both, 1) * counted
    whole = 2 * all_hits / np.maximum(all_both, 1) * counted
    n = counted.sum(axis=-1)
    return (whole.sum(axis=-1) / n)[..., 0], without.sum(axis=-1) / n, _inside_one_unit(held)


def _weighted_kappa(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, power: int) -> Found:
    """Cohen's kappa with disagreement |i - j| ** power between classes; 0 counts each disagreement the same."""
    told, classes = _predicted(answers, labels)
    units, distance = int(unit.max()) + 1, np.abs(np.subtract.outer(np.arange(classes), np.arange(classes)))
    weight = np.where(distance > 0, distance.astype(float) ** power, 0.0)
    wrong = _per_unit(weight[labels, told], unit)
    held, called = _class_counts(labels, unit, units, classes), _class_counts(told, unit, units, classes)
    all_held, all_called = held.sum(axis=0), called.sum(axis=-2, keepdims=True)
    n, size = labels.size, np.bincount(unit)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = ((all_held @ weight) * all_called[..., 0, :]).sum(axis=-1) / n
        without = (((all_held - held) @ weight) * (all_called - called)).sum(axis=-1) / (n - size)
        rest = wrong.sum(axis=-1, keepdims=True) - wrong
        return 1 - wrong.sum(axis=-1) / chance, 1 - rest / without, ""


def _kappa(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    return _weighted_kappa(labels, answers, unit, 0)


def _quadratic_kappa(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    return _weighted_kappa(labels, answers, unit, 2)


def _auroc(labels: np.ndarray, answers: np.ndarray, unit: np.ndarray, units: int) -> Found:
    """Each class present against the rest; with two classes the second one alone, since both rank alike."""
    present = np.unique(labels)
    if present.size < 2:
        nothing = np.full(answers.shape[:-2], np.nan)
        return nothing, np.repeat(nothing[..., None], units, axis=-1), "all test images are of one class"
    columns = [1] if answers.shape[-1] == 2 else list(present)
    parts = [_one_against_rest(answers[..., column], labels == column, unit, units) for column in columns]
    held = _class_counts(labels, unit, units, answers.shape[-1])
    whole, without = (np.mean(each, axis=0) for each in zip(*parts, strict=True))
    return whole, without, _inside_one_unit(held)


def _one_against_rest(
    scores: np.ndarray, is_class: np.ndarray, unit: np.ndarray, units: int
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC of scores (..., n), and without each unit: pairs won, less those in which the unit takes part."""
    credit, rank = _pairs_won(scores.reshape(-1, scores.shape[-1]), is_class)
    above, below = unit[is_class], unit[~is_class]
    taken = _sums(credit, unit, units)
    if units < unit.size:  # pairs of images of one unit were taken twice
        taken -= _won_inside(rank, is_class, unit, units)
    n_above, n_below = (np.bincount(each, minlength=units) for each in (above, below))
    won = credit[:, is_class].sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (above.size - n_above) * (below.size - n_below)
        without = (won - taken) / left
    shape = scores.shape[:-1]
    return (won[:, 0] / (above.size * below.size)).reshape(shape), without.reshape(*shape, units)


def _pairs_won(scores: np.ndarray, is_class: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many images of the other side each image wins its pair with, ties half, and its place among the scores.

    scores: (rows, n). An image of the class wins by being above, one of the rest is lost to by being below: the sum
    over either side is the number of pairs won. Returns (rows, n) twice; equal scores have the same place.
    """
    order = np.argsort(scores, axis=-1)
    ordered, at = np.take_along_axis(scores, order, axis=-1), np.arange(scores.shape[-1])
    rest = ~is_class[order]
    counted = np.cumsum(rest, axis=-1)
    starts = np.ones(order.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    if starts.all():
        rest_lower, lower = counted - 0.5 * rest, np.broadcast_to(at + 0.5, order.shape)
    else:
        first = np.maximum.accumulate(np.where(starts, at, 0), axis=-1)
        ends = np.concatenate([starts[:, 1:], np.ones((len(starts), 1), dtype=bool)], axis=1)
        last = np.minimum.accumulate(np.where(ends, at, at[-1])[:, ::-1], axis=-1)[:, ::-1]
        before = np.take_along_axis(counted - rest, first, axis=-1)
        rest_lower, lower = (before + np.take_along_axis(counted, last, axis=-1)) / 2, (first + last + 1) / 2
    credit, rank = np.empty(scores.shape), np.empty(order.shape, dtype=np.int64)
    # an image counts itself as a half in both numbers, so that it does not count among those of the class below it
    won = np.where(rest, int(is_class.sum()) - (lower - rest_lower), rest_lower)
    np.put_along_axis(credit, order, won, axis=-1)
    np.put_along_axis(rank, order, np.cumsum(starts, axis=-1) - 1, axis=-1)
    return credit, rank


def _won_inside(rank: np.ndarray, is_class: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """Pairs that are won between images of one unit: (rows, units)."""
    apart, rows = int(rank.max()) + 1, np.arange(len(rank))[:, None]
    above, below = unit[is_class], unit[~is_class]
    within = rank + (rows * units + unit) * apart
    earlier = np.concatenate([[0], np.cumsum(np.bincount(below, minlength=units))[:-1]])[above]
    inside = _lower(within[:, is_class], within[:, ~is_class], rows * below.size + earlier)
    return _sums(inside, above, units)


def _lower(keys: np.ndarray, others: np.ndarray, before: np.ndarray) -> np.ndarray:
    """For each key how many others of its own block lie below it, equal ones half. before: others in earlier blocks."""
    ordered = np.sort(others, axis=None)
    return (np.searchsorted(ordered, keys, "left") + np.searchsorted(ordered, keys, "right")) / 2 - before


def _sums(values: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """Sums by unit where a unit may hold nothing: (rows, n) to (rows, units)."""
    place = np.arange(len(values))[:, None] * units + unit
    return np.bincount(place.ravel(), values.ravel(), len(values) * units).reshape(-1, units)


PSEUDO_METRICS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], Found]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "kappa": _kappa,
    "quadratic_kappa": _quadratic_kappa,
    "auroc": _auroc,
    "brier": _brier,
    "log_loss": _log_loss,
}
"""The metrics that are taken apart by unit. The calibration error is not: leaving out an image changes its bins."""
CLASS_AVERAGES = ("balanced_accuracy", "macro_f1", "auroc")
NEED_PROBABILITIES = ("auroc", "brier", "log_loss")
LOWER_IS_BETTER = ("brier", "log_loss")
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc"), (0.0, 1.0)),
    **dict.fromkeys(("kappa", "quadratic_kappa"), (-1.0, 1.0)),
    "brier": (0.0, 2.0),
    "log_loss": (0.0, math.inf),
}
"""The least and the greatest value of each, beyond which no interval reaches."""
