"""Two methods held against each other, pseudo-value by pseudo-value, on the same images and seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.evaluation.pseudo_values import RANGES, Measured
from core.evaluation.two_part import TwoPart, components, of_components, two_part, undefined

MOST_NUMBERS = 4_000_000
"""Pseudo-values of pairs that are taken apart at once."""
Rows = tuple[list[int], list[int]]
"""Places of the seeds of both sides that are held against each other."""


def difference(first: Measured, second: Measured) -> TwoPart:
    """`first` minus `second`, pseudo-value by pseudo-value, on the same images and seeds.

    Where nothing is drawn on one side its row stands for each seed of the other. Nothing is said, and `why` tells the
    reason, of other test images, of other units, of fewer than two seeds in common where a side has several, and of
    undefined pseudo-values.
    """
    return differences([(first, second)])[0]


def differences(pairs: Sequence[tuple[Measured, Measured]], pairing: Pairing | None = None) -> list[TwoPart]:
    """`difference` of each pair, those of one size taken apart together. pairing: what is known of them already."""
    pairing = pairing or Pairing()
    found: dict[int, TwoPart] = {}
    alike: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = defaultdict(list)
    for at, (first, second) in enumerate(pairs):
        rows, why = pairing.rows(first, second)
        why = why or first.why or second.why
        if why or first.values is None or second.values is None:
            mean, units = first.mean - second.mean, first.units
            found[at] = undefined(mean, min(len(first.seeds), len(second.seeds)), len(units.names), units.kind, why)
            continue
        apart = first.values[rows[0]] - second.values[rows[1]]
        together = alike[apart.shape]
        together.append((at, apart))
        if len(together) * apart.size > MOST_NUMBERS:
            found |= _parts(pairs, alike.pop(apart.shape))
    for together in alike.values():
        found |= _parts(pairs, together)
    return [found[at] for at in range(len(pairs))]


def _parts(
    pairs: Sequence[tuple[Measured, Measured]], together: Sequence[tuple[int, np.ndarray]]
) -> dict[int, TwoPart]:
    """The two parts of differences of one shape, by their place."""
    seeds, units = together[0][1].shape
    if units < 2:
        return {at: two_part(apart, pairs[at][0].units.kind) for at, apart in together}
    each = [each.tolist() for each in components(np.stack([apart for _, apart in together]))]
    found = {}
    for (at, _), *parts in zip(together, *each, strict=True):
        side = pairs[at][0]
        low, high = RANGES[side.metric]
        bounds = low - high, high - low
        found[at] = of_components(parts, (seeds, units), side.units.kind, side.fewest_of_class, bounds)
    return found


def paired_correct(first: Measured, second: Measured) -> tuple[np.ndarray, np.ndarray] | None:
    """Whether each was right, on the same images and paired seeds: two arrays (seeds, images); None if unpaired."""
    rows, why = Pairing().rows(first, second)
    return None if why else (first.correct[rows[0]], second.correct[rows[1]])


@dataclass
class Pairing:
    """Which measurements can be held against each other; remembers what it has looked at, which must live as long."""

    _kinds: list[Measured] = field(default_factory=list)
    _kind: dict[int, int] = field(default_factory=dict)
    _right: dict[tuple[int, tuple[int, ...]], np.ndarray] = field(default_factory=dict)

    def rows(self, first: Measured, second: Measured) -> tuple[Rows, str]:
        """Which rows are held against each other, or why none are."""
        if self._kind_of(first) != self._kind_of(second):
            return ([], []), _why_unlike(first, second)
        if not first.drawn or not second.drawn:
            seeds = max(len(each.seeds) if each.drawn else 1 for each in (first, second))
            ours, theirs = (list(range(seeds)) if each.drawn else [0] * seeds for each in (first, second))
            return (ours, theirs), ""
        common = [seed for seed in first.seeds if seed in second.seeds]
        if len(common) < 2 and not len(common) == len(first.seeds) == len(second.seeds):
            return ([], []), "they were not run with two seeds in common"
        return ([first.seeds.index(s) for s in common], [second.seeds.index(s) for s in common]), ""

    def times_right(self, first: Measured, second: Measured) -> tuple[np.ndarray, np.ndarray] | None:
        """How many of the paired seeds had each image right, of both: (images,) each; None if unpaired."""
        rows, why = self.rows(first, second)
        return None if why else (self._counted(first, rows[0]), self._counted(second, rows[1]))

    def _counted(self, measured: Measured, rows: list[int]) -> np.ndarray:
        key = id(measured), tuple(rows)
        if key not in self._right:
            self._right[key] = measured.correct[rows].sum(axis=0)
        return self._right[key]

    def _kind_of(self, measured: Measured) -> int:
        if id(measured) not in self._kind:
            alike = (at for at, other in enumerate(self._kinds) if not _why_unlike(measured, other))
            at = next(alike, len(self._kinds))
            if at == len(self._kinds):
                self._kinds.append(measured)
            self._kind[id(measured)] = at
        return self._kind[id(measured)]


def _why_unlike(first: Measured, second: Measured) -> str:
    """Why two measurements cannot be held against each other, whatever their seeds; empty if they can."""
    n = [each.correct.shape[1] for each in (first, second)]
    if first.metric != second.metric:
        return f"one is {first.metric}, the other {second.metric}"
    if n[0] != n[1] or first.images != second.images:
        many = f"one was measured on {n[0]} images, the other on {n[1]}"
        return many if n[0] != n[1] else f"they were measured on other test images, {n[0]} each"
    if first.units.names != second.units.names or not np.array_equal(first.labels, second.labels):
        return "labels or groups of the test images differ"
    return ""
