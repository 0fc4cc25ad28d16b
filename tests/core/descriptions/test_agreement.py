"""Agreement between readers: worked tables, an independent implementation, and what cannot be told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from core.descriptions.agreement import DECISIONS, Readings, agreement, several_readers, two_readers
from core.descriptions.catch_rate import wilson
from core.evaluation.intervals import wilson_interval

WORKED = np.array([[90, 5], [3, 2]])


def readings(table: np.ndarray, classes: int = 2) -> Readings:
    """Two readers whose decisions give a table; sentences are dealt to classes in turn."""
    pairs = [(k, m) for k, m in np.ndindex(*table.shape) for _ in range(table[k, m])]
    said = {
        name: {str(i): DECISIONS[pair[at]] for i, pair in enumerate(pairs)} for at, name in enumerate(("Ada", "Bo"))
    }
    return Readings(said, {str(i): f"class {i % classes}" for i in range(len(pairs))})


def test_the_worked_table_of_the_kappa_paradox() -> None:
    found = two_readers(WORKED)
    assert found["percent"] == pytest.approx(0.92)
    assert found["kappa"] == pytest.approx(0.2920, abs=5e-5)
    assert found["ac1"] == pytest.approx(0.9098, abs=5e-5)
    (pair,) = agreement(readings(WORKED))["pairs"]
    assert (pair["n"], round(pair["kappa"], 4), round(pair["ac1"], 4)) == (100, 0.292, 0.9098)
    assert pair["kappa_low"] < pair["kappa"] < pair["kappa_high"]
    assert pair["ac1_low"] < 0.9098 < pair["ac1_high"]
    assert pair["disagreements"] == [str(i) for i in range(90, 98)]
    assert [row["n"] for row in pair["per_class"]] == [50, 50]


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_statsmodels(seed: int) -> None:
    table = np.random.default_rng(seed).integers(1, 30, (3, 3))
    assert two_readers(table)["kappa"] == pytest.approx(cohens_kappa(table, return_results=False))


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_near_that_of_large_samples(seed: int) -> None:
    table = np.random.default_rng(seed).integers(40, 90, (2, 2)) + np.eye(2, dtype=int) * 100
    (pair,) = agreement(readings(table, classes=1))["pairs"]
    by_formula = cohens_kappa(table)
    assert pair["kappa_low"] == pytest.approx(by_formula.kappa_low, abs=0.02)
    assert pair["kappa_high"] == pytest.approx(by_formula.kappa_upp, abs=0.02)


KRIPPENDORFF = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
"""Four observers, twelve units, some not seen: the worked example of Krippendorff (2011), section C."""


def test_krippendorffs_worked_example() -> None:
    seen = np.array([row.split() for row in KRIPPENDORFF]).T
    counts = np.array([[(unit == word).sum() for word in "12345"] for unit in seen])
    counts = counts[counts.sum(1) > 1]
    found = several_readers(counts, np.ones(len(counts), int))
    assert found["alpha"] == pytest.approx(0.743, abs=5e-4)
    assert found["percent"] == pytest.approx(0.8182, abs=5e-5)


def test_several_readers_of_two_are_two_readers() -> None:
    draw = np.random.default_rng(0)
    said = draw.integers(0, 3, (60, 2))
    table = np.zeros((3, 3), int)
    np.add.at(table, (said[:, 0], said[:, 1]), 1)
    counts = np.array([[(unit == k).sum() for k in range(3)] for unit in said])
    found = several_readers(counts, np.ones(60, int))
    assert found["ac1"] == pytest.approx(two_readers(table)["ac1"])
    assert found["percent"] == pytest.approx(two_readers(table)["percent"])


def test_several_readers_by_an_independent_count_over_pairs() -> None:
    draw = np.random.default_rng(3)
    said = [[int(k) for k in draw.integers(0, 3, draw.integers(2, 5))] for _ in range(40)]
    counts = np.array([[unit.count(k) for k in range(3)] for unit in said])
    found = several_readers(counts, np.ones(40, int))
    share = np.mean([np.mean([a == b for a, b in itertools.combinations(unit, 2)]) for unit in said])
    mean = np.mean([[unit.count(k) / len(unit) for k in range(3)] for unit in said], axis=0)
    chance = sum(p * (1 - p) for p in mean) / 2
    assert found["percent"] == pytest.approx(share)
    assert found["ac1"] == pytest.approx((share - chance) / (1 - chance))
    values = [(k, len(unit)) for unit in said for k in unit]
    observed = np.mean([sum(a != b for b in unit) / (len(unit) - 1) for unit in said for a in unit])
    expected = np.mean([a[0] != b[0] for a, b in itertools.permutations(values, 2)])
    assert found["alpha"] == pytest.approx(1 - observed / expected)


def test_three_readers_are_told_in_pairs_and_together() -> None:
    draw = np.random.default_rng(1)
    said = {
        name: {str(i): DECISIONS[draw.integers(0, 3)] for i in range(40) if draw.random() < 0.8}
        for name in ("Ada", "Bo", "Cy")
    }
    found = agreement(Readings(said, {str(i): f"class {i % 4}" for i in range(40)}))
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("Ada", "Bo"), ("Ada", "Cy"), ("Bo", "Cy")]
    several = found["several"]
    assert several["n"] == sum(sum(str(i) in each for each in said.values()) > 1 for i in range(40))
    assert several["alpha_low"] < several["alpha"] < several["alpha_high"]
    assert agreement(Readings(said, {str(i): f"class {i % 4}" for i in range(40)})) == found  # seeded


def test_what_cannot_be_told_is_none() -> None:
    same = agreement(readings(np.array([[20, 0], [0, 0]])))["pairs"][0]
    assert (same["percent"], same["kappa"], same["ac1"], same["ac1_low"]) == (1.0, None, 1.0, None)
    few = agreement(readings(np.array([[4, 1], [0, 2]])))["pairs"][0]
    assert (few["n"], few["percent_low"], few["kappa_high"]) == (7, None, None)
    apart = agreement(Readings({"Ada": {"1": "approve"}, "Bo": {"2": "approve"}}, {"1": "a", "2": "a"}))["pairs"][0]
    assert (apart["n"], apart["percent"], apart["per_class"]) == (0, None, [])
    assert agreement(Readings({"Ada": {}}, {})) == {"pairs": [], "several": None}


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 4), (8, 10), (90, 90)])
def test_the_interval_of_catch_rates_is_wilsons(hits: int, n: int) -> None:
    other = wilson_interval(hits, n)
    assert wilson(hits, n) == pytest.approx((other.low, other.high), abs=1e-12)
