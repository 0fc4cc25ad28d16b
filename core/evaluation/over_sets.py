"""Ranks of methods over several data sets, each of which counts once, and when there are too few sets to say anything.

Source: Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from core.errors import InvalidInput
from core.evaluation.paired_tests import holm

LEAST_SETS = 5
"""Below so many data sets ranks are not tested."""
LEAST_SETS_FOR_PAIRS = 6
"""Below so many no two methods can differ by an exact Wilcoxon test: its smallest p is 2^(1 - sets)."""
LEVEL = 0.05


@dataclass(frozen=True)
class RankTest:
    """Whether methods differ in rank over data sets. refusal: why nothing is tested, else "".

    mean_ranks: 1 is best, ties share. chi2: Friedman's statistic, corrected for ties. f: Iman and Davenport's, on df1
    and df2 degrees of freedom, infinite where all sets rank alike; p: of it. critical_difference: Nemenyi's, mean ranks
    that differ by more are different at 5 %.
    """

    n_sets: int
    mean_ranks: dict[str, float]
    chi2: float | None = None
    f: float | None = None
    df1: int | None = None
    df2: int | None = None
    p: float | None = None
    critical_difference: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class PairTest:
    """Two methods over data sets by an exact Wilcoxon test. mean: first minus second, in the unit of the scores."""

    first: str
    second: str
    mean: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class PairTests:
    """All pairs of methods over data sets. refusal: why nothing is tested, or why no p can be small enough, else ""."""

    n_sets: int
    pairs: tuple[PairTest, ...]
    refusal: str = ""


def rank_test(scores: Mapping[str, Sequence[float]], *, lower_is_better: bool = False) -> RankTest:
    """Friedman's test in Iman and Davenport's form, mean ranks and Nemenyi's critical difference; from 5 sets on.

    scores: of each method, one number a data set in the same order, such as means over seeds. Raises InvalidInput below
    two methods, for lists of unequal length and for numbers that are not finite.
    """
    from scipy.stats import f as f_distribution

    table = _table(scores, lower_is_better)
    sets, methods = table.shape
    ranks = _ranks(table)
    mean_ranks = dict(zip(scores, ranks.mean(axis=0).tolist(), strict=True))
    if sets < LEAST_SETS:
        refusal = f"{_sets(sets)}: ranks are tested from {LEAST_SETS} on."
        return RankTest(sets, mean_ranks, refusal=refusal)
    spread = ((ranks - (methods + 1) / 2) ** 2).sum()
    chi2 = (
        0.0
        if spread == 0
        else (methods - 1) * float(((ranks.sum(axis=0) - sets * (methods + 1) / 2) ** 2).sum() / spread)
    )
    left = sets * (methods - 1) - chi2
    f = float("inf") if left <= 1e-12 else (sets - 1) * chi2 / left
    df = methods - 1, (methods - 1) * (sets - 1)
    return RankTest(
        n_sets=sets,
        mean_ranks=mean_ranks,
        chi2=chi2,
        f=f,
        df1=df[0],
        df2=df[1],
        p=float(f_distribution.sf(f, *df)),
        critical_difference=critical_difference(methods, sets),
    )


@cache
def critical_difference(methods: int, sets: int, level: float = LEVEL) -> float:
    """Nemenyi's: q sqrt(M (M + 1) / (6 D)) with q the studentised range over M groups / sqrt(2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * sets)))


def wilcoxon_p(differences: Sequence[float] | np.ndarray) -> float:
    """Exact two-sided p of Wilcoxon's signed-rank test of differences, one a data set.

    Zeros are dropped, equal sizes share their rank and the distribution is that of the ranks as they are, so that p is
    exact with ties too. None left gives 1.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if not d.size:
        return 1.0
    doubled = np.rint(2 * _ranks(np.abs(d)[None])[0]).astype(int)
    counts = np.zeros(doubled.sum() + 1)
    counts[0] = 1
    for rank in doubled:
        counts[rank:] += counts[:-rank].copy()
    positive = int(doubled[d > 0].sum())
    smaller = min(positive, doubled.sum() - positive)
    return float(min(1.0, 2 * counts[: smaller + 1].sum() / 2.0**d.size))


def wilcoxon_pairs(scores: Mapping[str, Sequence[float]]) -> PairTests:
    """Exact Wilcoxon tests of all pairs with Holm's p; from 6 data sets on, with a sentence where none can be small.

    scores: as for `rank_test`. Its p cannot fall below 2^(1 - sets), which Holm's correction multiplies by the pairs.
    """
    table = _table(scores, False)
    sets, names = len(table), list(scores)
    twos = list(combinations(range(len(names)), 2))
    refusal = wilcoxon_refusal(sets, len(twos))
    if sets < LEAST_SETS_FOR_PAIRS:
        return PairTests(sets, (), refusal)
    apart = [table[:, b] - table[:, a] for a, b in twos]  # the table holds minus the scores
    p_values = [wilcoxon_p(each) for each in apart]
    rows = zip(twos, apart, p_values, holm(p_values), strict=True)
    return PairTests(
        sets, tuple(PairTest(names[a], names[b], float(d.mean()), p, h) for (a, b), d, p, h in rows), refusal
    )


def wilcoxon_refusal(sets: int, pairs: int = 1) -> str:
    """Why no two methods can be called different over so many data sets and pairs, or "" if they can."""
    least = 2.0 ** (1 - sets)
    if sets < LEAST_SETS_FOR_PAIRS:
        return f"{_sets(sets)}: the smallest possible p is {_two_digits(least)}, so no pair can be called different."
    if least * pairs <= LEVEL:
        return ""
    return (
        f"{_sets(sets)} and {pairs} pairs: the smallest possible p after Holm's correction is "
        f"{_two_digits(least * pairs)}, so no pair can be called different."
    )


def _table(scores: Mapping[str, Sequence[float]], lower_is_better: bool) -> np.ndarray:
    """(sets, methods), smaller is better."""
    lengths = {len(each) for each in scores.values()}
    if len(scores) < 2 or len(lengths) != 1 or 0 in lengths:
        raise InvalidInput(
            "Ranks over data sets need two methods with a number for each of the same sets",
            f"found {len(scores)} methods with {', '.join(map(str, sorted(lengths))) or 'no'} numbers",
            "Leave out sets that not every method has.",
        )
    table = np.array(list(scores.values()), dtype=np.float64).T
    if not np.isfinite(table).all():
        raise InvalidInput("Ranks need finite numbers", "found undefined ones", "Leave these data sets out.")
    return table if lower_is_better else -table


def _ranks(table: np.ndarray) -> np.ndarray:
    """Ranks along rows, 1 for the smallest; equal numbers share the mean of theirs."""
    from scipy.stats import rankdata

    return rankdata(table, axis=1)


def _sets(n: int) -> str:
    return f"{n} data set{'' if n == 1 else 's'}"


def _two_digits(p: float) -> str:
    return f"{min(p, 1.0):.2f}"
