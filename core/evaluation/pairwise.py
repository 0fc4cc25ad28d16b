"""Every method against every other one: which differences are there, which ranks are possible, what could be seen.

Each cell is a paired difference of one metric on the same images and seeds. The p values are Holm's over the pairs that
were to be compared, all of them or those with one reference; the intervals are not adjusted and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.evaluation.intervals import model_claim
from core.evaluation.paired import Pairing, differences, paired_correct
from core.evaluation.paired_tests import holm, mcnemar_mid_p, sign_flip_p, unit_differences
from core.evaluation.pseudo_values import LOWER_IS_BETTER, Measured
from core.evaluation.two_part import TwoPart, mean_over_sets, p_values

LEVEL = 0.05
TIE = 0.0005
"""Means of two methods on a data set that are nearer than this, 0.05 points, are a tie."""


@dataclass(frozen=True)
class Pair:
    """One cell of the matrix: `first` minus `second`, in fractions of the metric.

    mean, low, high: the difference and its 95 % interval, not adjusted for the number of pairs; interval: how it was
    made. claim: what p and interval hold for, in words. p: two-sided, of this pair alone; p_holm: with all compared
    pairs at once, None where the pair is not one of them. visible: the half-width, below which a difference could not
    be seen. wins, ties, losses of the first; counted: of "images" (more often right) or "data sets" (higher mean).
    models_p: of these trained models on new patients or images, models_test its name. odds: of one seed (images only
    the first got right + 1/2) / (only the second + 1/2). n_seeds, n_units: behind it; units: what they are called. why:
    the reason where low, high, p and visible are None.
    """

    first: str
    second: str
    mean: float
    low: float | None
    high: float | None
    interval: str
    claim: str | None
    p: float | None
    p_holm: float | None
    visible: float | None
    wins: int | None
    ties: int | None
    losses: int | None
    counted: str
    models_p: float | None
    models_test: str | None
    models_claim: str
    odds: float | None
    n_seeds: int
    n_units: int
    units: str
    why: str

    @property
    def differs(self) -> bool:
        """Whether the difference stands with all compared pairs at once."""
        return self.p_holm is not None and self.p_holm < LEVEL

    @property
    def of_methods(self) -> bool:
        """Whether it speaks of the methods, over new draws; otherwise of the trained models alone."""
        return self.claim is not None and self.n_seeds > 1

    @property
    def reversed(self) -> Pair:
        """The same with first and second exchanged."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            mean=-self.mean,
            low=_minus(self.high),
            high=_minus(self.low),
            wins=self.losses,
            losses=self.wins,
            odds=None if self.odds is None else 1 / self.odds,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"differs": self.differs}


@dataclass(frozen=True)
class Matrix:
    """All pairs of methods, best mean first.

    methods: in order. means: of each. pairs: each two methods once, the better first. compare_to: the one reference all
    others were compared to, or None for all pairs. n_tests: how many pairs Holm's p counts. sets: data sets the means
    are over; left_out: those that not every method has. lower_is_better: of the metric.
    """

    metric: str
    methods: tuple[str, ...]
    means: dict[str, float]
    pairs: tuple[Pair, ...]
    compare_to: str | None
    n_tests: int
    sets: tuple[str, ...]
    left_out: tuple[str, ...]
    lower_is_better: bool

    def cell(self, first: str, second: str) -> Pair:
        """The pair `first` minus `second`. Raises InvalidInput for methods that are not two of the matrix."""
        if (first, second) in self._places:
            return self.pairs[self._places[first, second]]
        if (second, first) in self._places:
            return self.pairs[self._places[second, first]].reversed
        raise InvalidInput(f"The matrix compares {', '.join(self.methods)}", f"found '{first}' and '{second}'")

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {(pair.first, pair.second): at for at, pair in enumerate(self.pairs)}

    def rank_interval(self, method: str) -> tuple[int, int]:
        """The ranks a method can have: 1 + those significantly better, to all less those significantly worse."""
        better, worse = self._apart.get(method, (0, 0))
        return 1 + better, len(self.methods) - worse

    @cached_property
    def _apart(self) -> dict[str, tuple[int, int]]:
        """How many are significantly better and worse than each, of those that differ from any."""
        better, worse = Counter[str](), Counter[str]()
        for pair in self.pairs:
            if pair.differs:
                low, high = (pair.first, pair.second) if self._is_worse(pair.mean) else (pair.second, pair.first)
                better[low] += 1
                worse[high] += 1
        return {name: (better[name], worse[name]) for name in {*better, *worse}}

    @property
    def rank_intervals(self) -> dict[str, tuple[int, int]]:
        """`rank_interval` of each method."""
        return {method: self.rank_interval(method) for method in self.methods}

    @property
    def not_worse_than_first(self) -> tuple[str, ...]:
        """The methods that are not significantly worse than the one with the best mean, which is the first of them."""
        return tuple(m for m in self.methods if m == self.methods[0] or not self.cell(self.methods[0], m).differs)

    @property
    def visible_sentence(self) -> str:
        """What could be seen at all, for people; of the widest pair. Empty where no pair has an interval."""
        known = [pair for pair in self.pairs if pair.visible is not None]
        return visible_sentence(max(known, key=lambda pair: pair.visible or 0.0)) if known else ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with what follows from the pairs."""
        return asdict(self) | {
            "pairs": [pair.as_dict() for pair in self.pairs],
            "rank_intervals": self.rank_intervals,
            "not_worse_than_first": self.not_worse_than_first,
            "visible_sentence": self.visible_sentence,
        }

    def _is_worse(self, difference: float) -> bool:
        return difference > 0 if self.lower_is_better else difference < 0


def pairwise_matrix(
    methods: Mapping[str, Measured] | Mapping[str, Mapping[str, Measured]],
    compare_to: str | None = None,
    *,
    test_models: bool = True,
) -> Matrix:
    """The matrix of all methods on one test part, or on several data sets by name, of which the mean counts.

    Sets that not every method has are left out and named. compare_to: the method that the others are compared to,
    chosen beforehand; without it all pairs are. test_models: False leaves out models_p, whose sign-flips take some 20
    ms a pair. A pair of which nothing can be said counts as p = 1. Raises InvalidInput below two methods, without a
    common data set, for unlike metrics and for an unknown compare_to.
    """
    by_set = {name: given if isinstance(given, Mapping) else {"": given} for name, given in methods.items()}
    sets, left_out = _common_sets(by_set)
    metrics = {each[name].metric for each in by_set.values() for name in sets}
    if len(by_set) < 2 or not sets or len(metrics) > 1 or (compare_to is not None and compare_to not in by_set):
        raise InvalidInput(
            "A matrix needs two methods with one metric on a data set they share, and a reference among them",
            f"found {len(by_set)} methods, {len(sets)} shared data sets, metrics {sorted(metrics)}, "
            f"reference {compare_to!r}",
        )
    metric = metrics.pop()
    means = {name: float(np.mean([each[at].mean for at in sets])) for name, each in by_set.items()}
    lower = metric in LOWER_IS_BETTER
    order = sorted(by_set, key=lambda name: means[name] if lower else -means[name])
    parts = {name: [each[at] for at in sets] for name, each in by_set.items()}
    named = list(combinations(order, 2))
    pairing = Pairing()
    by_set_apart = [differences([(parts[a][at], parts[b][at]) for a, b in named], pairing) for at in range(len(sets))]
    apart = [mean_over_sets(each) for each in zip(*by_set_apart, strict=True)]
    known_p = p_values(apart)
    pairs = [
        _pair(a, b, parts[a], parts[b], found, p, pairing, test_models)
        for (a, b), found, p in zip(named, apart, known_p, strict=True)
    ]
    tested = [at for at, pair in enumerate(pairs) if compare_to is None or compare_to in (pair.first, pair.second)]
    adjusted = holm([1.0 if (p := pairs[at].p) is None else p for at in tested])
    for at, p_holm in zip(tested, adjusted, strict=True):
        if pairs[at].p is not None:
            pairs[at] = replace(pairs[at], p_holm=p_holm)
    return Matrix(
        metric=metric,
        methods=tuple(order),
        means={name: means[name] for name in order},
        pairs=tuple(pairs),
        compare_to=compare_to,
        n_tests=len(tested),
        sets=tuple(sets),
        left_out=tuple(left_out),
        lower_is_better=lower,
    )


def visible_sentence(pair: Pair) -> str:
    """Below which difference nothing could be seen in a pair, for people; empty where nothing is known."""
    if pair.visible is None:
        return ""
    kind = pair.units if pair.n_units != 1 else pair.units[:-1]
    draws = f"{pair.n_seeds} draws and " if pair.n_seeds > 1 else ""
    points = _rounded(100 * pair.visible)
    return f"With {draws}{pair.n_units} {kind} only differences above {points} points could be seen here."


def _rounded(points: float) -> str:
    return f"{points:.0f}" if points >= 1 else f"{points:.1g}"


def _common_sets(by_set: Mapping[str, Mapping[str, Measured]]) -> tuple[list[str], list[str]]:
    """Data sets that every method has, and those that fall out, in the order they were given."""
    named = list(dict.fromkeys(name for each in by_set.values() for name in each))
    common = [name for name in named if all(name in each for each in by_set.values())]
    return common, [name for name in named if name not in common]


def _pair(
    first: str,
    second: str,
    ours: Sequence[Measured],
    theirs: Sequence[Measured],
    found: TwoPart,
    p: float | None,
    pairing: Pairing,
    test_models: bool,
) -> Pair:
    shown = found.interval()
    known = shown.low is not None
    several = len(ours) > 1
    wins, ties, losses = _set_counts(ours, theirs) if several else _image_counts(pairing, ours[0], theirs[0])
    return Pair(
        first=first,
        second=second,
        mean=found.mean,
        low=shown.low,
        high=shown.high,
        interval=f"{shown.interval}, not adjusted for the number of pairs" if known else shown.interval,
        claim=shown.claim,
        p=p,
        p_holm=None,
        visible=found.half_width() if known else None,
        wins=wins,
        ties=ties,
        losses=losses,
        counted="data sets" if several else "images",
        **_of_models(ours[0], theirs[0], test_models and not several),
        models_claim=model_claim(found.kind),
        n_seeds=found.n_seeds,
        n_units=found.n_units,
        units=found.kind,
        why=found.unknown,
    )


def _image_counts(pairing: Pairing, first: Measured, second: Measured) -> tuple[int | None, int | None, int | None]:
    """Images the first got right more often than the second, as often, and less often, over paired seeds."""
    right = pairing.times_right(first, second)
    if right is None:
        return None, None, None
    wins, losses = (int(np.count_nonzero(one > other)) for one, other in (right, right[::-1]))
    return wins, len(right[0]) - wins - losses, losses


def _set_counts(ours: Sequence[Measured], theirs: Sequence[Measured]) -> tuple[int, int, int]:
    """Data sets on which the first has the better mean, about the same, and the worse."""
    sign = -1 if ours[0].metric in LOWER_IS_BETTER else 1
    apart = sign * np.array([one.mean - other.mean for one, other in zip(ours, theirs, strict=True)])
    return int((apart > TIE).sum()), int((np.abs(apart) <= TIE).sum()), int((apart < -TIE).sum())


def _of_models(first: Measured, second: Measured, wanted: bool) -> dict[str, Any]:
    """The test that holds for these trained models: McNemar's of one seed and independent images, else sign-flips."""
    right = paired_correct(first, second) if wanted else None
    if right is None:
        return {"models_p": None, "models_test": None, "odds": None}
    only = [int((one & ~other).sum()) for one, other in (right, right[::-1])]
    odds = (only[0] + 0.5) / (only[1] + 0.5) if len(right[0]) == 1 else None
    if odds is not None and first.units.kind == "images":
        return {"models_p": mcnemar_mid_p(*only), "models_test": "McNemar mid-p", "odds": odds}
    p = sign_flip_p(unit_differences(*right, first.units.of_image))
    return {"models_p": p, "models_test": f"sign-flip over {first.units.kind}", "odds": odds}


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
