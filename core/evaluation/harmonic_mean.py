"""Base and novel classes in one number: the harmonic mean, its interval, and the two means over data sets.

H(b, v) = 2 b v / (b + v). Over data sets papers print either H1, the mean of harmonic means, or H2, the harmonic mean
of the two means; H2 is never below H1, so a table that mixes them favours its H2 rows. Both are given, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from core.errors import InvalidInput
from core.evaluation.pseudo_values import Measured, Units
from core.evaluation.two_part import TwoPart, mean_over_sets, of_measured

H1 = "H1, mean of harmonic means"
H2 = "H2, harmonic mean of the means"


class Half(NamedTuple):
    """A metric on one half of the classes. Leading axes are repetitions, such as methods.

    per_seed: (..., seeds). values: (..., seeds, own units), pseudo-values. place: (own units,), where each unit stands
    among those of both halves.
    """

    per_seed: np.ndarray
    values: np.ndarray
    place: np.ndarray


def harmonic_mean(base: Any, novel: Any) -> np.ndarray:
    """2 b v / (b + v), element by element; 0 where both are 0. Fractions or percent, not negative."""
    b, v = np.asarray(base, dtype=np.float64), np.asarray(novel, dtype=np.float64)
    if (b < 0).any() or (v < 0).any():
        raise InvalidInput("A harmonic mean is of numbers that are 0 or more", f"found {base} and {novel}")
    together = b + v
    return np.where(together > 0, 2 * b * v / np.where(together > 0, together, 1), 0.0)


def harmonic_measured(base: Measured, novel: Measured) -> Measured:
    """H of one data set taken apart by unit, so that two methods can be held against each other by it.

    base, novel: the same seeds on the test images of base and of novel classes, each asked among its own names. A
    group with images in both counts once. The rows are H made straight at the means over seeds, so that their mean is H
    of the means: by Euler's theorem the slopes times the halves add up to it. `why` says why there are no
    pseudo-values: halves of other seeds, undefined ones, or both means 0. Source: the delta method,
    dH/db = 2 v^2 / (b + v)^2 and the reverse.
    """
    return _weighted(base, novel, *_slopes(base.mean, novel.mean))


def harmonic_two_part(base: Measured, novel: Measured) -> TwoPart:
    """H of the means over seeds on one data set, with its parts over draws and over patients."""
    return replace(of_measured(harmonic_measured(base, novel)), mean=_of_means(base, novel))


def harmonic_means_over_sets(pairs: Sequence[tuple[Measured, Measured]]) -> dict[str, TwoPart]:
    """Both means over data sets by name (`H1`, `H2`), each with its parts. pairs: (base, novel) of each set.

    A half with a single class is 100 % by construction: leave its set out. The mean says nothing about a further set.
    """
    if not pairs:
        raise InvalidInput("A mean over data sets needs one", "found none")
    b, v = (float(np.mean([pair[half].mean for pair in pairs])) for half in (0, 1))
    of_means = mean_over_sets([of_measured(_weighted(base, novel, *_slopes(b, v))) for base, novel in pairs])
    return {
        H1: mean_over_sets([harmonic_two_part(base, novel) for base, novel in pairs]),
        H2: replace(of_means, mean=float(harmonic_mean(b, v))),
    }


def harmonic_pseudo_values(base: Half, novel: Half, units: int) -> np.ndarray:
    """Pseudo-values of H over the units of both halves: (..., seeds, units), see `harmonic_measured`."""
    return _joined(base, novel, *_slopes(base.per_seed.mean(axis=-1), novel.per_seed.mean(axis=-1)), units)


def _slopes(base: Any, novel: Any) -> tuple[Any, Any]:
    """How H changes with each half, element by element; not-a-number where both are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.square(np.add(base, novel))
        return np.divide(2 * np.square(novel), together), np.divide(2 * np.square(base), together)


def _weighted(base: Measured, novel: Measured, on_base: float, on_novel: float) -> Measured:
    """The weighted sum of two metrics whose units may be the same or others; images stand one half after the other."""
    names = tuple(sorted({*base.units.names, *novel.units.names}))
    kind = base.units.kind if base.units.kind == novel.units.kind else "groups"
    why = base.why or novel.why
    same = base.seeds == novel.seeds
    if not same:
        why = "base and novel classes were not measured with the same seeds"
    elif np.isnan(on_base):
        why = "base and novel classes are both at 0"
    values = None
    if not why and base.values is not None and novel.values is not None:
        halves = [
            Half(each.per_seed, known, np.searchsorted(names, each.units.names))
            for each, known in ((base, base.values), (novel, novel.values))
        ]
        values = _joined(halves[0], halves[1], on_base, on_novel, len(names))
    fewest = min((n for each in (base, novel) if (n := each.fewest_of_class) is not None), default=None)
    places = [np.searchsorted(names, each.units.names)[each.units.of_image] for each in (base, novel)]
    images = None if base.images is None or novel.images is None else (*base.images, *novel.images)
    seeds = min(base.seeds, novel.seeds, key=len)
    return Measured(
        metric=base.metric,
        seeds=seeds,
        per_seed=_summed(base, novel, on_base, on_novel) if same else np.full(len(seeds), _of_means(base, novel)),
        values=values,
        why=why,
        units=Units(names, np.concatenate(places), kind),
        correct=np.concatenate([each.correct[: len(seeds)] for each in (base, novel)], axis=1),
        labels=np.concatenate([base.labels, novel.labels + base.labels.max() + 1]),
        images=images,
        drawn=base.drawn or novel.drawn,
        fewest_of_class=fewest,
    )


def _of_means(base: Measured, novel: Measured) -> float:
    return float(harmonic_mean(base.mean, novel.mean))


def _summed(base: Measured, novel: Measured, on_base: float, on_novel: float) -> np.ndarray:
    """The weighted sum of each seed; 0 where both halves are 0 and have no slopes."""
    return np.nan_to_num(on_base * base.per_seed + on_novel * novel.per_seed, nan=0.0)


def _joined(base: Half, novel: Half, on_base: Any, on_novel: Any, units: int) -> np.ndarray:
    """The weighted sum of both halves' pseudo-values: (..., seeds, units). Weights: (...)."""
    weights = (np.asarray(weight)[..., None, None] for weight in (on_base, on_novel))
    first, second = (weight * _spread(half, units) for weight, half in zip(weights, (base, novel), strict=True))
    return first + second


def _spread(half: Half, units: int) -> np.ndarray:
    """Pseudo-values over more units (..., seeds, units); units without an image of this half change nothing."""
    apart = half.values - half.per_seed[..., None]
    found = np.zeros((*half.per_seed.shape, units))
    found[..., half.place] = apart * (units - 1) / (half.place.size - 1)
    return found + half.per_seed[..., None]
