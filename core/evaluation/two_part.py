"""How sure a method's number is over new draws and new patients: two variances, each with its own quantile.

With pseudo-values e (seeds S, units G): v_draws is the variance of the S means / S, v_cases the mean over pairs of
seeds of the covariance over units / G, not below 0. Half-width h(p) = sqrt(t(1 - p/2, S-1)^2 v_draws +
t(1 - p/2, G-1)^2 v_cases); p of a difference is the p with h(p) = |difference|. Source: Obuchowski and Rockette's two
components of a reader study, seeds as readers; each part keeps its own quantile because there are few seeds.

Where two or three seeds happen to agree, v_draws says almost nothing varies. But what seeds and units do together,
MS_rest of the two-way table, reaches every mean with v_rest = MS_rest / (G S), whatever the seeds agree on, and it has
(S-1)(G-1) degrees of freedom: h(p) is never below t(1 - p/2, (S-1)(G-1)) sqrt(v_rest).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from core.errors import InvalidInput
from core.evaluation.intervals import (
    EVERYTHING,
    FEW_GROUPS,
    LEAST_GROUPS,
    NO_SPREAD,
    Interval,
    method_claim,
    model_claim,
)
from core.evaluation.pseudo_values import RANGES, Measured

SATTERTHWAITE_SEEDS = 5
"""Below so many seeds its intervals are too narrow."""
LEAST_OF_CLASS = 4
"""Held by fewer units, a class makes false claims of class averages too common: 6 to 8 of 100 in simulations."""
FEW_OF_CLASS = 10
"""Held by fewer, it makes intervals of class averages too narrow: 89 to 94 % in simulations."""
LEAST_P = 1e-30
LEAST_VARIANCE = 1e-12
"""Below it nothing but rounding is left: seeds that gave the same answers, units that are all alike."""
USUAL = 0.05
"""1 - the level of an interval, if nothing else is asked for."""


class Components(NamedTuple):
    """Of pseudo-values (..., seeds, units): the mean and its variances, each of shape (...,).

    draws + cases is (MS_seeds + MS_units - MS_rest) / (units seeds) of the two-way table unless cases was cut at 0;
    rest is MS_rest / (units seeds), the least that the mean varies by.
    """

    mean: np.ndarray
    draws: np.ndarray
    cases: np.ndarray
    rest: np.ndarray


def components(values: np.ndarray) -> Components:
    """The parts of pseudo-values (..., seeds, units). Needs two units.

    Of one seed draws and rest are 0 and cases the variance over units / units.
    """
    e = np.asarray(values, dtype=np.float64)
    seeds, units = e.shape[-2:]
    per_seed = e.mean(axis=-1)
    apart = e - per_seed[..., None]
    single = (apart**2).sum(axis=(-2, -1)) / ((units - 1) * units)
    if seeds == 1:
        nothing = np.zeros(e.shape[:-2])
        return Components(per_seed[..., 0], nothing, single, nothing)
    together = (apart.sum(axis=-2) ** 2).sum(axis=-1) / ((units - 1) * units)
    cases = np.maximum(0.0, (together - single) / (seeds * (seeds - 1)))
    rest = np.maximum(0.0, (single - together / seeds) / (seeds * (seeds - 1)))
    return Components(per_seed.mean(axis=-1), per_seed.var(axis=-1, ddof=1) / seeds, cases, rest)


def half_width(
    v_draws: Any,
    v_cases: Any,
    df_draws: Any,
    df_cases: Any,
    p: Any = 0.05,
    *,
    v_rest: Any = 0.0,
    df_rest: Any = None,
) -> np.ndarray:
    """h(p), element by element: half the width of the interval of level 1 - p. Degrees of freedom above 0.

    df_rest: of one data set, which is taken where none is given, df_draws df_cases.
    """
    from scipy.special import stdtrit

    lower = np.asarray(p, dtype=np.float64) / 2
    rest = np.multiply(df_draws, df_cases) if df_rest is None else df_rest
    parts = stdtrit(df_draws, lower) ** 2 * v_draws + stdtrit(df_cases, lower) ** 2 * v_cases
    return np.sqrt(np.maximum(parts, stdtrit(rest, lower) ** 2 * v_rest))


@lru_cache(maxsize=4096)
def _quantile(df: float, p: float) -> float:
    """Of Student's t at p / 2; tables ask for the same few again and again."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p / 2))


def two_part_p(
    mean: Any,
    v_draws: Any,
    v_cases: Any,
    df_draws: Any,
    df_cases: Any,
    *,
    v_rest: Any = 0.0,
    df_rest: Any = None,
) -> np.ndarray:
    """The p with h(p) = |mean|, element by element, by bisection on its logarithm; in [1e-30, 1].

    p < 0.05 just where the 95 % interval excludes zero. A mean of 0 has p = 1.
    """
    size = np.abs(np.asarray(mean, dtype=np.float64))
    low, high = np.full(size.shape, np.log(LEAST_P)), np.zeros(size.shape)
    for _ in range(60):
        middle = (low + high) / 2
        given = v_draws, v_cases, df_draws, df_cases, np.exp(middle)
        wider = half_width(*given, v_rest=v_rest, df_rest=df_rest) > size
        low, high = np.where(wider, middle, low), np.where(wider, high, middle)
    return np.where(size == 0, 1.0, np.exp((low + high) / 2))


def satterthwaite_df(v_draws: Any, v_cases: Any, df_draws: Any, df_cases: Any) -> np.ndarray:
    """Degrees of freedom of the summed variance, element by element; NaN where both are 0.

    Source: Satterthwaite, Biometrics Bulletin 1946.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.add(v_draws, v_cases)
        return together**2 / (np.square(v_draws) / df_draws + np.square(v_cases) / df_cases)


@dataclass(frozen=True)
class TwoPart:
    """A mean over seeds, or a difference of two, with its variance over draws and over cases.

    mean: fraction. v_draws, v_cases: variances of the mean. df_draws, df_cases: their degrees of freedom; of one seed
    df_draws is 0 and v_draws unknown. n_seeds, n_units: the fewest of any data set; n_sets: how many. kind: what units
    are called. why: in words why nothing is known of the spread, or "". fewest_of_class: how many units hold the rarest
    class, where the metric is an average over classes. bounds: the least and the greatest value the mean can have.
    v_rest, df_rest: the least variance of the mean and its degrees of freedom; of one seed both are 0.
    """

    mean: float
    v_draws: float
    v_cases: float
    df_draws: float
    df_cases: float
    n_seeds: int
    n_units: int
    kind: str = "images"
    n_sets: int = 1
    why: str = ""
    fewest_of_class: int | None = None
    bounds: tuple[float, float] = EVERYTHING
    v_rest: float = 0.0
    df_rest: float = 0.0

    @property
    def from_draws(self) -> float | None:
        """Standard error that more seeds would lower; None of one seed."""
        return None if self.n_seeds < 2 or self.why else float(np.sqrt(self.v_draws))

    @property
    def from_patients(self) -> float | None:
        """Standard error that more patients would lower."""
        return None if self.why else float(np.sqrt(self.v_cases))

    @property
    def claim(self) -> str:
        """What it holds for, in words."""
        return method_claim(self.kind) if self.n_seeds > 1 else model_claim(self.kind)

    @property
    def unknown(self) -> str:
        """Why there is neither interval nor p, or nothing."""
        if self.why:
            return self.why
        if self.n_units < LEAST_GROUPS:
            return f"fewer than {LEAST_GROUPS} {self.kind}"
        if self.fewest_of_class is not None and self.fewest_of_class < LEAST_OF_CLASS:
            return f"a class is held by {self.fewest_of_class} {self.kind} only"
        return NO_SPREAD if self.v_draws + self.v_cases + self.v_rest < LEAST_VARIANCE else ""

    def half_width(self, p: float = USUAL, *, satterthwaite: bool = False) -> float:
        """h(p), whatever the number of units; not-a-number where the pseudo-values are undefined."""
        if self.why:
            return float("nan")
        if not satterthwaite:
            return self._usual if p == USUAL else self._two_part(p)
        df_draws = self.df_draws or 1.0
        df = satterthwaite_df(self.v_draws, self.v_cases, df_draws, self.df_cases)
        return float(half_width(self.v_draws + self.v_cases, 0.0, df, 1.0, p))

    def _two_part(self, p: float) -> float:
        # of one seed the variances of draws and rest are 0, so that their quantiles are of no matter
        draws = _quantile(self.df_draws or 1.0, p) ** 2 * self.v_draws
        cases = _quantile(self.df_cases, p) ** 2 * self.v_cases
        return math.sqrt(max(draws + cases, _quantile(self.df_rest or 1.0, p) ** 2 * self.v_rest))

    @cached_property
    def _usual(self) -> float:
        """Of the 95 % interval, which every table asks for several times."""
        return self._two_part(USUAL)

    def p_value(self, *, satterthwaite: bool = False) -> float | None:
        """Two-sided p of the mean being 0; None where nothing can be said. 1 where mean and spread are both 0."""
        if self.unknown:
            return 1.0 if self.unknown == NO_SPREAD and abs(self.mean) < LEAST_VARIANCE else None
        self._check(satterthwaite)
        return self.two_sided_p(satterthwaite=satterthwaite)

    def two_sided_p(self, *, satterthwaite: bool = False) -> float:
        """The p alone, whatever the number of units and seeds, as worked numbers need it."""
        from scipy.special import stdtr

        given = self.v_draws, self.v_cases, self.df_draws or 1.0, self.df_cases
        if not satterthwaite:
            return float(two_part_p(self.mean, *given, v_rest=self.v_rest, df_rest=self.df_rest or 1.0))
        return float(2 * stdtr(satterthwaite_df(*given), -abs(self.mean) / np.sqrt(self.v_draws + self.v_cases)))

    def interval(self, level: float = 1 - USUAL, *, satterthwaite: bool = False) -> Interval:
        """The interval with its claim, within `bounds`; low and high are None below 10 units and if nothing varies."""
        if self.unknown:
            return Interval(self.mean, None, None, self.n_units, f"none: {self.unknown}")
        self._check(satterthwaite)
        half = self.half_width(round(1 - level, 12), satterthwaite=satterthwaite)
        single = self.n_seeds < 2
        name = "Satterthwaite" if satterthwaite else "jackknife" if single else "two-part"
        where = f"{self.n_units} {self.kind}" if self.n_sets == 1 else f"{self.n_sets} data sets"
        text = f"{level:.0%} {name} over {'' if single else f'{self.n_seeds} seeds and '}{where}{self.about}"
        over = self.kind if single else f"seeds and {self.kind}"
        found = Interval(self.mean, self.mean - half, self.mean + half, self.n_units, text, over, self.claim)
        return found.within(self.bounds)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the 95 % interval with its claim, and both standard errors (fractions, None where unknown)."""
        return self.interval().as_dict() | {"from_draws": self.from_draws, "from_patients": self.from_patients}

    @property
    def scope(self) -> str:
        """What a mean over data sets does not say, for people; empty of one set."""
        return "" if self.n_sets == 1 else f"Mean over these {self.n_sets} sets; says nothing about a further one."

    @property
    def about(self) -> str:
        """ " (approximate)" below 30 units, and below 10 of a class that an average over classes counts."""
        rare = self.fewest_of_class is not None and self.fewest_of_class < FEW_OF_CLASS
        return " (approximate)" if rare or self.n_units < FEW_GROUPS else ""

    def _check(self, satterthwaite: bool) -> None:
        if satterthwaite and self.n_seeds < SATTERTHWAITE_SEEDS:
            raise InvalidInput(
                f"Satterthwaite's interval needs {SATTERTHWAITE_SEEDS} seeds",
                f"found {self.n_seeds}",
                "Use the two-part interval, or run more seeds.",
            )


def p_values(found: Sequence[TwoPart]) -> list[float | None]:
    """`TwoPart.p_value` of each, looked for together, which takes as long as one of them."""
    open_ = [at for at, each in enumerate(found) if not each.unknown]
    told = [found[at] for at in open_]
    parts = [(e.mean, e.v_draws, e.v_cases, e.df_draws or 1.0, e.df_cases, e.v_rest, e.df_rest or 1.0) for e in told]
    *given, v_rest, df_rest = np.array(parts).reshape(-1, 7).T
    known = two_part_p(*given, v_rest=v_rest, df_rest=df_rest) if parts else np.array([])
    searched = dict(zip(open_, known.tolist(), strict=True))
    return [searched[at] if at in searched else each.p_value() for at, each in enumerate(found)]


def two_part(values: np.ndarray, kind: str = "images", fewest_of_class: int | None = None) -> TwoPart:
    """The two parts of pseudo-values (seeds, units); of one seed the units alone vary. kind: what units are called.

    fewest_of_class: see `TwoPart`.
    """
    seeds, units = values.shape
    if units < 2:
        return undefined(float(np.mean(values)), seeds, units, kind, f"one {kind[:-1]}")
    return of_components([float(each) for each in components(values)], (seeds, units), kind, fewest_of_class)


def of_components(
    parts: Sequence[float],
    shape: tuple[int, int],
    kind: str,
    fewest_of_class: int | None,
    bounds: tuple[float, float] = EVERYTHING,
) -> TwoPart:
    """What `components` gave of one table with this shape, (seeds, units)."""
    (mean, draws, cases, rest), (seeds, units) = parts, shape
    df = seeds - 1, units - 1
    given = (mean, draws, cases, *df, seeds, units, kind, 1, "", fewest_of_class, bounds, rest)
    return TwoPart(*given, df_rest=df[0] * df[1])


def of_measured(measured: Measured) -> TwoPart:
    """The two parts of a method's metric on one test part, or the reason why they are undefined."""
    units = measured.units
    if measured.values is None:
        return undefined(measured.mean, len(measured.seeds), len(units.names), units.kind, measured.why)
    return replace(two_part(measured.values, units.kind, measured.fewest_of_class), bounds=RANGES[measured.metric])


def of_measured_rows(rows: Sequence[Measured]) -> list[TwoPart]:
    """`of_measured` of each, those of one size worked on together."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        alike[() if row.values is None or row.values.shape[1] < 2 else row.values.shape].append(at)
    found: dict[int, TwoPart] = {at: of_measured(rows[at]) for at in alike.pop((), [])}
    for (seeds, units), places in alike.items():
        values = [known for at in places if (known := rows[at].values) is not None]  # all of them: see above
        for at, *parts in zip(places, *(each.tolist() for each in components(np.stack(values))), strict=True):
            row = rows[at]
            found[at] = of_components(parts, (seeds, units), row.units.kind, row.fewest_of_class, RANGES[row.metric])
    return [found[at] for at in range(len(rows))]


def undefined(mean: float, seeds: int, units: int, kind: str, why: str) -> TwoPart:
    """A mean of which nothing else is known, and why."""
    nothing = float("nan")
    return TwoPart(mean, nothing, nothing, max(seeds - 1, 0), max(units - 1, 0), seeds, units, kind, why=why)


def mean_over_sets(parts: Sequence[TwoPart]) -> TwoPart:
    """The unweighted mean over fixed data sets: says nothing about a further one.

    Variances add up, / sets^2, each with the degrees of freedom of a sum: (sum v)^2 / sum(v^2 / df). One set with one
    seed makes it a claim on trained models. Raises InvalidInput for no set.
    """
    if not parts:
        raise InvalidInput("A mean over data sets needs one", "found none")
    if len(parts) == 1:
        return parts[0]
    mean = float(np.mean([part.mean for part in parts]))
    seeds, units = (min(getattr(part, name) for part in parts) for name in ("n_seeds", "n_units"))
    kinds = {part.kind for part in parts}
    kind = kinds.pop() if len(kinds) == 1 else "images or groups"
    why = next((part.why for part in parts if part.why), "")
    if why:
        return replace(undefined(mean, seeds, units, kind, why), n_sets=len(parts))
    draws, df_draws = _pooled([(part.v_draws, part.df_draws) for part in parts])
    cases, df_cases = _pooled([(part.v_cases, part.df_cases) for part in parts])
    rest, df_rest = _pooled([(part.v_rest, part.df_rest) for part in parts])
    fewest = min((part.fewest_of_class for part in parts if part.fewest_of_class is not None), default=None)
    ends = [part.bounds for part in parts]
    bounds = min(low for low, _ in ends), max(high for _, high in ends)
    given = (mean, draws, cases, df_draws, df_cases, seeds, units, kind, len(parts), "", fewest, bounds)
    return TwoPart(*given, rest, df_rest)


def _pooled(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The variance of a mean of independent ones, and its degrees of freedom."""
    v, df = (np.array(each, dtype=float) for each in zip(*parts, strict=True))
    counted = (df > 0) & (v > 0)
    spread = (v[counted] ** 2 / df[counted]).sum()
    return float(v.sum() / len(v) ** 2), float(v[counted].sum() ** 2 / spread if spread else df.sum())
