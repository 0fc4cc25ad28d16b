"""Rank tests over data sets: worked numbers, and the sentences where there are too few sets."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.over_sets import critical_difference, rank_test, wilcoxon_p, wilcoxon_pairs, wilcoxon_refusal

# best to worst per set: a b c, a b c, b a c, a c b, a b c
SCORES = {"a": [0.9, 0.8, 0.7, 0.9, 0.6], "b": [0.8, 0.7, 0.8, 0.7, 0.5], "c": [0.7, 0.6, 0.6, 0.8, 0.4]}


def test_friedman_and_iman_davenport_have_their_worked_numbers() -> None:
    # rank sums 6, 10, 14 of 5 sets: chi2 = 12 (36 + 100 + 196) / (5 * 3 * 4) - 3 * 5 * 4 = 6.4; F = 4 * 6.4 / 3.6
    found = rank_test(SCORES)
    assert found.mean_ranks == pytest.approx({"a": 1.2, "b": 2.0, "c": 2.8})
    assert (found.chi2, found.f) == pytest.approx((6.4, 64 / 9))
    assert (found.df1, found.df2, found.refusal) == (2, 8, "")
    # with 2 degrees of freedom above: (1 + 2 F / 8) ** (-8 / 2)
    assert found.p == pytest.approx((1 + found.f / 4) ** -4)


def test_lower_can_be_better() -> None:
    assert rank_test(SCORES, lower_is_better=True).mean_ranks == pytest.approx({"a": 2.8, "b": 2.0, "c": 1.2})


def test_nemenyi_has_the_published_quantiles() -> None:
    # Demsar's table: q of 5 % for 2, 3, 5 and 10 methods
    for methods, q in ((2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)):
        assert critical_difference(methods, 1) == pytest.approx(q * np.sqrt(methods * (methods + 1) / 6), abs=2e-3)
    # his example: 4 algorithms on 14 data sets
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_sets_that_all_rank_alike_and_sets_that_tie() -> None:
    alike = rank_test({"a": [3.0] * 5, "b": [2.0] * 5, "c": [1.0] * 5})
    assert (alike.f, alike.p) == (float("inf"), 0.0)
    tied = rank_test({"a": [1.0] * 5, "b": [1.0] * 5})
    assert (tied.f, tied.p, tied.mean_ranks) == (0.0, 1.0, {"a": 1.5, "b": 1.5})


def test_below_five_sets_ranks_are_shown_and_not_tested() -> None:
    found = rank_test({name: row[:4] for name, row in SCORES.items()})
    assert found.refusal == "4 data sets: ranks are tested from 5 on."
    assert (found.p, found.critical_difference) == (None, None)
    assert found.mean_ranks["a"] == 1.25


def test_wilcoxon_has_worked_numbers() -> None:
    # six sets, all of one sign: 2 of 64 sign patterns are as far
    assert wilcoxon_p([1, 2, 3, 4, 5, 6]) == 2 / 64
    # negative ranks 1 and 2: sums of at most 3 are {}, {1}, {2}, {1, 2}, {3}
    assert wilcoxon_p([-1, -2, 3, 4, 5, 6]) == 2 * 5 / 64
    # ties share ranks: 2 2 2 of which one is negative; sums of at most 2 are {} and three single ones
    assert wilcoxon_p([1, 1, -1]) == 1.0
    assert wilcoxon_p([0, 0]) == 1.0


def test_too_few_sets_are_refused_with_the_smallest_p() -> None:
    assert wilcoxon_pairs(SCORES).refusal == (
        "5 data sets: the smallest possible p is 0.06, so no pair can be called different."
    )
    assert wilcoxon_pairs(SCORES).pairs == ()
    assert wilcoxon_refusal(6) == ""
    assert wilcoxon_refusal(8, 10) == (
        "8 data sets and 10 pairs: the smallest possible p after Holm's correction is 0.08, so no pair can be called "
        "different."
    )
    assert wilcoxon_refusal(9, 10) == ""
    assert wilcoxon_refusal(1).startswith("1 data set: the smallest possible p is 1.00")


def test_pairs_from_six_sets_on_have_holms_p() -> None:
    draw = np.random.default_rng(0)
    scores = {"a": draw.random(9) + 2, "b": draw.random(9), "c": draw.random(9) + 1}
    found = wilcoxon_pairs(scores)
    assert [(each.first, each.second) for each in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found.pairs[0].mean == pytest.approx((scores["a"] - scores["b"]).mean())
    assert found.pairs[0].p == 2**-8
    assert found.pairs[0].p_holm == pytest.approx(3 * 2**-8)
    assert found.refusal == ""


def test_sets_that_not_every_method_has_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Leave out sets that not every method has"):
        rank_test({"a": [0.1, 0.2], "b": [0.1]})
    with pytest.raises(InvalidInput, match="finite"):
        rank_test({"a": [0.1, float("nan")], "b": [0.1, 0.2]})
