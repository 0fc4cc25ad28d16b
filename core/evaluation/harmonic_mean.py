"""Base and novel classes in one number: the harmonic mean, its interval, and the two means over data sets.

H(b, v) = 2 b v / (b + v). Over data sets papers print either H1, the mean of harmonic means, or H2, the harmonic mean
of the two means; H2 is never below H1, so a table that mixes them favours its H2 rows. Both are given, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.evaluation.pseudo_values import Measured
from core.evaluation.two_part import TwoPart, mean_over_sets, two_part, undefined

H1 = "H1, mean of harmonic means"
H2 = "H2, harmonic mean of the means"
NAMED_HARMONIC_BUT_ARITHMETIC = "listed as harmonic mean, is the arithmetic mean"


def harmonic_mean(base: Any, novel: Any) -> np.ndarray:
    """2 b v / (b + v), element by element; 0 where both are 0. Fractions or percent, not negative."""
    b, v = np.asarray(base, dtype=np.float64), np.asarray(novel, dtype=np.float64)
    if (b < 0).any() or (v < 0).any():
        raise InvalidInput("A harmonic mean is of numbers that are 0 or more", f"found {base} and {novel}")
    together = b + v
    return np.where(together > 0, 2 * b * v / np.where(together > 0, together, 1), 0.0)


def harmonic_two_part(base: Measured, novel: Measured) -> TwoPart:
    """H of the means over seeds on one data set, with its parts over draws and over patients.

    base, novel: the same seeds on the test images of base and of novel classes, each asked among its own names. A
    group with images in both counts once. `why` says why nothing is known of the spread: halves of other seeds,
    undefined pseudo-values, or both means 0. Source: the delta method, dH/db = 2 v^2 / (b + v)^2 and the reverse.
    """
    weights = _slopes(base.mean, novel.mean)
    found = _weighted(base, novel, *weights)
    return replace(found, mean=float(harmonic_mean(base.mean, novel.mean)))


def harmonic_means_over_sets(pairs: Sequence[tuple[Measured, Measured]]) -> dict[str, TwoPart]:
    """Both means over data sets by name (`H1`, `H2`), each with its parts. pairs: (base, novel) of each set.

    A half with a single class is 100 % by construction: leave its set out. The mean says nothing about a further set.
    """
    if not pairs:
        raise InvalidInput("A mean over data sets needs one", "found none")
    b, v = (float(np.mean([pair[half].mean for pair in pairs])) for half in (0, 1))
    of_means = mean_over_sets([_weighted(base, novel, *_slopes(b, v)) for base, novel in pairs])
    return {
        H1: mean_over_sets([harmonic_two_part(base, novel) for base, novel in pairs]),
        H2: replace(of_means, mean=float(harmonic_mean(b, v))),
    }


def name_of_listed_mean(base: float, novel: float, listed: float, decimals: int = 2) -> str:
    """What a published "harmonic mean" is: "" if it is that of its row, else what it is instead. Numbers as printed.

    Half a unit of the last decimal of all three is allowed for.
    """
    room = 10.0**-decimals
    if abs(listed - float(harmonic_mean(base, novel))) <= room:
        return ""
    if abs(listed - (base + novel) / 2) <= room:
        return NAMED_HARMONIC_BUT_ARITHMETIC
    return f"is neither the harmonic ({harmonic_mean(base, novel):.{decimals}f}) nor the arithmetic mean"


def _slopes(base: float, novel: float) -> tuple[float, float]:
    """How H changes with each half; not-a-number where both are 0."""
    together = (base + novel) ** 2
    return (2 * novel**2 / together, 2 * base**2 / together) if together else (float("nan"), float("nan"))


def _weighted(base: Measured, novel: Measured, on_base: float, on_novel: float) -> TwoPart:
    """The weighted sum of two metrics whose units may be the same or others."""
    names = sorted({*base.units.names, *novel.units.names})
    kind = base.units.kind if base.units.kind == novel.units.kind else "groups"
    mean, seeds = on_base * base.mean + on_novel * novel.mean, min(len(base.seeds), len(novel.seeds))
    why = base.why or novel.why
    if base.seeds != novel.seeds:
        why = "base and novel classes were not measured with the same seeds"
    elif np.isnan(on_base):
        why = "base and novel classes are both at 0"
    if why or base.values is None or novel.values is None:
        return undefined(mean, seeds, len(names), kind, why)
    values = sum(weight * _spread(each, names) for weight, each in ((on_base, base), (on_novel, novel)))
    fewest = min((n for each in (base, novel) if (n := each.fewest_of_class) is not None), default=None)
    return two_part(np.asarray(values), kind, fewest)


def _spread(measured: Measured, names: Sequence[str]) -> np.ndarray:
    """Pseudo-values over more units (seeds, names), of which those without an image of this metric change nothing."""
    own, units = measured.units.names, len(names)
    apart = measured.values - measured.per_seed[:, None]  # type: ignore[operator]
    found = np.zeros((len(measured.seeds), units))
    found[:, np.searchsorted(names, own)] = apart * (units - 1) / (len(own) - 1)
    return found + measured.per_seed[:, None]
