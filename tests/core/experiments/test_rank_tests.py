"""Ranks over image sets are tested from five on, pairs from six, and else it is said why not."""

from __future__ import annotations

from typing import Any

import pytest

from core.evaluation.over_sets import rank_test, wilcoxon_pairs
from core.experiments.rank_tests import rank_tests

SCORES = {
    "a": [0.90, 0.80, 0.70, 0.95, 0.85, 0.75],
    "b": [0.85, 0.78, 0.71, 0.90, 0.80, 0.70],
    "c": [0.50, 0.55, 0.52, 0.51, 0.53, 0.54],
}


def rows(n_sets: int, lines: tuple[str, ...] = ("a", "b", "c"), **changes: Any) -> list[dict[str, Any]]:
    """Rows as an experiment has them: of each set, and of the mean where there are several."""
    shared = {"shots": 16, "share": None, "metric": "balanced_accuracy"} | changes
    sets = [f"set {at}" for at in range(n_sets)]
    found = [
        {"image_set": name, "line": line, "mean": SCORES[line][at], **shared}
        for at, name in enumerate(sets)
        for line in lines
    ]
    if n_sets > 1:
        found += [{"image_set": None, "image_sets": sets, "line": line, "mean": 0.7, **shared} for line in lines]
    return found


def test_six_sets_have_ranks_with_ranges_and_pairs() -> None:
    (found,) = rank_tests(rows(6))
    known = rank_test(SCORES)
    assert (found["n_sets"], found["p"]) == (6, known.p)
    assert found["critical_difference"] == known.critical_difference == pytest.approx(1.353, abs=1e-3)
    assert [(each["line"], each["mean_rank"]) for each in found["lines"]] == [
        ("a", pytest.approx(7 / 6)),
        ("b", pytest.approx(11 / 6)),
        ("c", 3.0),
    ]
    first = found["lines"][0]
    assert (first["low"], first["high"]) == pytest.approx((7 / 6 - 1.353 / 2, 7 / 6 + 1.353 / 2), abs=1e-3)
    assert [(each["best"], each["worst"]) for each in found["lines"]] == [(1, 2), (1, 3), (2, 3)]
    assert found["sentence"].startswith("Over 6 data sets the ranks differ: p ")
    pairs = wilcoxon_pairs(SCORES).pairs
    assert [(each["first"], each["second"], each["p_holm"]) for each in found["pairs"]] == [
        (each.first, each.second, each.p_holm) for each in pairs
    ]
    assert found["pairs_sentence"].startswith("6 data sets and 3 pairs: the smallest possible p after Holm's")


def test_five_sets_have_ranks_but_no_pairs() -> None:
    (found,) = rank_tests(rows(5))
    assert found["p"] is not None
    assert (found["pairs"], found["pairs_sentence"]) == (
        [],
        "5 data sets: the smallest possible p is 0.06, so no pair can be called different.",
    )


@pytest.mark.parametrize(("n_sets", "first"), [(2, 1.0), (4, 1.25)])
def test_fewer_sets_have_mean_ranks_and_the_reason(n_sets: int, first: float) -> None:
    (found,) = rank_tests(rows(n_sets))
    assert found["sentence"] == f"{n_sets} data sets: ranks are tested from 5 on."
    assert (found["p"], found["lines"][0]["low"]) == (None, None)
    assert found["lines"][0]["mean_rank"] == first


def test_one_set_and_one_line_say_why_there_is_nothing() -> None:
    (found,) = rank_tests(rows(1))
    assert (found["sentence"], found["lines"]) == ("1 data set: ranks are tested from 5 on.", [])
    (found,) = rank_tests(rows(6, ("a",)))
    assert found["sentence"] == "There is one line: ranks need two."
    (found,) = rank_tests([row for row in rows(6) if row["image_set"]])
    assert found["sentence"].startswith("Fewer than two data sets have all seeds of every line")


def test_where_less_is_better_the_lowest_is_first() -> None:
    (found,) = rank_tests(rows(6, metric="log_loss"))
    assert found["lines"][0]["line"] == "c"


def test_each_number_of_training_images_has_its_own() -> None:
    assert [each["shots"] for each in rank_tests(rows(2) + rows(2, shots=1))] == [16, 1]
