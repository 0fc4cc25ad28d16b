"""The probability that the claim of being better is false: worked numbers."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.paired_tests import mcnemar_mid_p
from core.evaluation.published import (
    both_right,
    both_right_range,
    compare_to_published,
    false_claim,
    overlap,
    smallest_difference,
)


def test_it_is_mcnemars_one_sided_mid_p() -> None:
    # 25 images only the better got right, 12 only the other, of 100 with 40 both right
    found = float(false_claim(100, 0.65, 0.52, 0.40))
    assert found == pytest.approx(0.0167762198, abs=1e-10)
    assert found == pytest.approx(mcnemar_mid_p(25, 12) / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("n", "a", "b", "known"),
    [
        (100, 0.75, 0.70, (0.25, 0.22, 0.15, 0.08, 0.05, 0.02)),
        (236, 0.75, 0.70, (0.15, 0.11, 0.05, 0.01, 0.004, 0.0001)),
        (400, 0.75, 0.73, (0.29, 0.26, 0.19, 0.10, 0.05, 0.002)),
        (1268, 0.75, 0.73, (0.16, 0.13, 0.06, 0.01, 0.001, 1e-8)),
        (6351, 0.75, 0.74, (0.13, 0.10, 0.04, 0.003, 1e-4, 4e-20)),
    ],
)
def test_the_range_over_the_unknown_overlap_has_its_worked_numbers(n: int, a: float, b: float, known: tuple) -> None:
    least, most = both_right_range(a, b)
    shares = [least, *both_right(a, b, [0, 0.5, 0.8, 0.9]), most]
    found = false_claim(n, a, b, shares)
    assert (np.diff(found) < 0).all()
    for value, shown in zip(found, known, strict=True):
        digits = max(2, int(np.ceil(-np.log10(shown))))
        assert round(float(value), digits) == pytest.approx(shown)
    assert found[-1] == pytest.approx(2 ** -(n * (a - b) + 1))


def test_draws_from_the_posterior_agree() -> None:
    draws = np.random.default_rng(0).dirichlet([0.1 * 236 + 1, 0.05 * 236 + 1, 0.85 * 236 + 1], 200_000)
    known = (draws[:, 0] <= draws[:, 1]).mean()
    assert float(false_claim(236, 0.75, 0.70, 0.65)) == pytest.approx(known, abs=1e-3)


@pytest.mark.parametrize(
    ("n", "known"), [(100, (5.4, 7.5, 9.1)), (236, (3.4, 4.8, 5.9)), (400, (2.6, 3.7, 4.5)), (1268, (1.5, 2.1, 2.5))]
)
def test_the_smallest_difference_has_its_worked_numbers(n: int, known: tuple) -> None:
    found = [smallest_difference(n, share) for share in (0.1, 0.2, 0.3)]
    assert [round(100 * each, 1) for each in found] == list(known)
    better = 0.6 + found[1] / 2 + 0.1
    assert float(false_claim(n, better, better - found[1], 0.6)) == pytest.approx(0.05, abs=1e-9)


def test_where_no_difference_is_enough_there_is_none() -> None:
    assert smallest_difference(20, 0.1) is None


def test_the_sentence_gives_range_and_mark() -> None:
    found = compare_to_published(0.741, 0.724, 236, rho=0.8)
    assert (found.better, found.n) == ("ours", 236)
    assert (round(found.low, 2), round(found.high, 2)) == (0.03, 0.36)
    assert found.low < found.at_overlap < found.high
    assert found.sentence == (
        "Published 72.4, ours 74.1 on 236 images: the order is wrong with probability 0.03 to 0.36, depending on how "
        f"often both are right together (not published); {found.at_overlap:.2f} at the overlap of our own runs. Spread "
        "over draws is not in this."
    )
    alone = compare_to_published(0.724, 0.741, 236)
    assert (alone.better, alone.at_overlap, alone.high) == ("published", None, found.high)
    assert "of our own runs" not in alone.sentence
    assert "less than 0.0001 to 0.13" in compare_to_published(0.75, 0.74, 6351).sentence


def test_equal_numbers_make_no_order() -> None:
    found = compare_to_published(0.7, 0.7, 100)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
    assert found.sentence == (
        "Published 70.0, ours 70.0 on 100 images: equal, so neither is better. Spread over draws is not in this."
    )


def test_overlap_is_0_by_chance_and_1_where_one_includes_the_other() -> None:
    first = np.array([1, 1, 0, 0])
    assert overlap(first, np.array([1, 0, 1, 0])) == 0.0
    assert overlap(first, np.array([1, 1, 1, 0])) == pytest.approx(1.0)
    assert overlap(first, np.array([0, 0, 1, 0])) == pytest.approx(-1.0)
    assert overlap(np.ones(4), first) is None
    assert both_right(0.5, 0.75, overlap(first, np.array([1, 1, 1, 0]))) == pytest.approx(0.5)


def test_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"Give a share from 0.45 to 0.7"):
        false_claim(100, 0.75, 0.70, 0.8)
    with pytest.raises(InvalidInput, match="better accuracy first"):
        false_claim(100, 0.70, 0.75, 0.6)
    with pytest.raises(InvalidInput, match=r"between 0 and 1; found 74.1"):
        compare_to_published(74.1, 0.7, 100)
    with pytest.raises(InvalidInput, match="share of them, above 0"):
        smallest_difference(100, 0.0)
