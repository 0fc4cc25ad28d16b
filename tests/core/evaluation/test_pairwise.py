"""The matrix of methods: what a cell holds, which ranks are possible, what could be seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.intervals import method_claim, model_claim
from core.evaluation.paired import difference
from core.evaluation.paired_tests import holm, mcnemar_mid_p
from core.evaluation.pairwise import pairwise_matrix
from core.evaluation.pseudo_values import measure
from core.evaluation.two_part import mean_over_sets
from tests.core.evaluation.test_two_part import made_up


def three():
    return {"low": made_up(0.5, seed=1), "high": made_up(0.97, seed=2), "same": made_up(0.95, seed=3)}


def test_a_cell_is_the_paired_difference_with_holms_p() -> None:
    methods = three()
    found = pairwise_matrix(methods)
    assert found.methods == ("high", "same", "low")
    known = [difference(methods[a], methods[b]) for a, b in (("high", "same"), ("high", "low"), ("same", "low"))]
    assert [pair.p for pair in found.pairs] == [each.p_value() for each in known]
    assert [pair.p_holm for pair in found.pairs] == holm([each.p_value() for each in known])
    cell = found.cell("high", "low")
    assert (cell.mean, cell.visible) == (known[1].mean, known[1].half_width())
    assert (cell.low, cell.high) == pytest.approx((cell.mean - cell.visible, cell.mean + cell.visible))
    assert (cell.claim, cell.of_methods, cell.differs) == (method_claim("images"), True, True)
    assert cell.interval == "95% two-part over 3 seeds and 60 images, not adjusted for the number of pairs"


def test_the_other_half_of_the_matrix_is_the_first_reversed() -> None:
    found = pairwise_matrix(three())
    one, other = found.cell("high", "low"), found.cell("low", "high")
    assert (other.mean, other.low, other.high) == (-one.mean, -one.high, -one.low)
    assert (other.wins, other.ties, other.losses) == (one.losses, one.ties, one.wins)
    assert other.reversed == one


def test_wins_are_images_with_more_seeds_right() -> None:
    y = np.zeros(4, dtype=int)
    first = measure("accuracy", y, predicted=np.array([[0, 0, 1, 1], [0, 1, 1, 0]]))  # right 2, 1, 0, 1 times
    second = measure("accuracy", y, predicted=np.array([[0, 1, 0, 0], [1, 1, 1, 0]]))  # right 1, 0, 1, 2 times
    cell = pairwise_matrix({"a": first, "b": second}).cell("a", "b")
    assert (cell.wins, cell.ties, cell.losses, cell.counted) == (2, 0, 2, "images")


def test_ranks_are_those_that_differences_leave_open() -> None:
    found = pairwise_matrix(three())
    assert found.rank_intervals == {"high": (1, 2), "same": (1, 2), "low": (3, 3)}
    assert found.not_worse_than_first == ("high", "same")


def test_a_lower_brier_score_is_the_better_one() -> None:
    y = np.arange(60) % 2

    def told(sure: float, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).uniform(-0.04, 0.04, (3, 60))
        p = np.where(y == 1, sure, 1 - sure) + noise
        return np.stack([1 - p, p], axis=-1)

    methods = {
        name: measure("brier", y, probabilities=told(sure, at))
        for at, (name, sure) in enumerate([("unsure", 0.6), ("sure", 0.9)])
    }
    found = pairwise_matrix(methods)
    assert found.methods == ("sure", "unsure")
    assert found.cell("sure", "unsure").mean < 0
    assert found.rank_intervals == {"sure": (1, 1), "unsure": (2, 2)}


def test_with_one_reference_fewer_pairs_are_tested() -> None:
    methods = three()
    found = pairwise_matrix(methods, compare_to="same")
    assert (found.n_tests, found.compare_to) == (2, "same")
    assert found.cell("high", "low").p_holm is None
    assert not found.cell("high", "low").differs
    known = [difference(methods[a], methods[b]).p_value() for a, b in (("high", "same"), ("same", "low"))]
    assert [found.cell("high", "same").p_holm, found.cell("same", "low").p_holm] == holm(known)
    assert found.rank_intervals["low"] == (2, 3)


def test_a_pair_without_p_counts_among_the_tests_and_is_not_told_apart() -> None:
    methods = three() | {"alone": made_up(0.7, seeds=1)}
    found = pairwise_matrix(methods)
    cell = found.cell("high", "alone")
    assert (cell.p, cell.p_holm, cell.low, cell.visible) == (None, None, None, None)
    assert cell.why == "they were not run with two seeds in common"
    assert (found.n_tests, cell.wins, cell.models_p) == (6, None, None)
    assert min(pair.p_holm for pair in found.pairs if pair.p) == 6 * min(pair.p for pair in found.pairs if pair.p)
    assert found.rank_intervals["alone"] == (1, 4)


def test_single_seeds_have_mcnemars_p_and_the_odds() -> None:
    first, second = made_up(0.9, seeds=1, seed=1), made_up(0.6, seeds=1, seed=2)
    cell = pairwise_matrix({"a": first, "b": second}).cell("a", "b")
    only = int((first.correct & ~second.correct).sum()), int((~first.correct & second.correct).sum())
    assert (cell.wins, cell.losses) == only
    assert (cell.models_p, cell.models_test) == (mcnemar_mid_p(*only), "McNemar mid-p")
    assert cell.odds == pytest.approx((only[0] + 0.5) / (only[1] + 0.5))
    assert (cell.claim, cell.of_methods) == (model_claim("images"), False)


def test_patients_and_several_seeds_have_sign_flips() -> None:
    groups = [f"p{at // 2}" for at in range(60)]
    one, other = (made_up(share, seeds=1, seed=at, groups=groups) for at, share in enumerate((0.9, 0.5)))
    assert pairwise_matrix({"a": one, "b": other}).cell("a", "b").models_test == "sign-flip over groups"
    cell = pairwise_matrix(three()).cell("high", "low")
    assert (cell.models_test, cell.models_p, cell.odds) == ("sign-flip over images", 1e-4, None)
    assert cell.models_claim == model_claim("images")


def test_what_could_be_seen_is_said_of_the_widest_pair() -> None:
    found = pairwise_matrix(three())
    widest = max(pair.visible for pair in found.pairs)
    assert found.visible_sentence == (
        f"With 3 draws and 60 images only differences above {100 * widest:.0f} points could be seen here."
    )
    assert pairwise_matrix({"a": made_up(0.9), "b": made_up(0.9, n=50)}).visible_sentence == ""


def test_over_data_sets_the_mean_counts_and_incomplete_sets_fall_out() -> None:
    a = {"one": made_up(0.9, seed=1), "two": made_up(0.8, seed=2, n=80), "three": made_up(0.9)}
    b = {"one": made_up(0.5, seed=3), "two": made_up(0.8, seed=4, n=80)}
    found = pairwise_matrix({"a": a, "b": b})
    assert (found.sets, found.left_out) == (("one", "two"), ("three",))
    cell = found.cell("a", "b")
    known = mean_over_sets([difference(a[name], b[name]) for name in ("one", "two")])
    assert (cell.mean, cell.p, cell.counted) == (known.mean, known.p_value(), "data sets")
    assert cell.wins + cell.ties + cell.losses == 2
    assert cell.models_p is None


def test_a_matrix_of_one_method_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"needs two methods .*; found 1 methods, 1 shared data sets"):
        pairwise_matrix({"a": made_up(0.9)})
    with pytest.raises(InvalidInput, match="reference 'c'"):
        pairwise_matrix(three(), compare_to="c")


def test_the_matrix_goes_into_json_with_what_follows_from_it() -> None:
    found = pairwise_matrix(three(), test_models=False)
    told = json.loads(json.dumps(found.as_dict()))
    assert (told["methods"], told["rank_intervals"]["low"]) == (["high", "same", "low"], [3, 3])
    assert told["not_worse_than_first"] == ["high", "same"]
    assert [(pair["differs"], pair["models_p"]) for pair in told["pairs"]] == [
        (False, None),
        (True, None),
        (True, None),
    ]
