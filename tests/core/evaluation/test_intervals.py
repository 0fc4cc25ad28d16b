"""Intervals against worked numbers, edge cases and simulated coverage."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.intervals import bootstrap_interval, t_interval, wilson_interval


def test_wilson_agrees_with_a_worked_example():
    # 8 of 10 with z = 1.95996: centre (0.8 + z^2/20) / (1 + z^2/10) = 0.71673, half 0.22658.
    found = wilson_interval(8, 10)
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.49016, 0.94331), abs=1e-4)
    assert found.interval == "95% Wilson over 10 images"


def test_wilson_stays_honest_at_both_ends():
    assert wilson_interval(0, 5).low == 0.0
    assert wilson_interval(5, 5).high == 1.0
    assert wilson_interval(5, 5).low == pytest.approx(5 / (5 + 1.95996**2), abs=1e-4)
    assert wilson_interval(1, 1).low == pytest.approx(0.2065, abs=1e-3)


def test_wilson_refuses_no_images():
    with pytest.raises(InvalidInput, match="found 0 of 0"):
        wilson_interval(0, 0)


def test_wilson_covers_the_true_share():
    hits = np.random.default_rng(0).binomial(40, 0.85, size=600)
    ends = {k: wilson_interval(int(k), 40) for k in np.unique(hits)}
    covered = np.mean([ends[k].low <= 0.85 <= ends[k].high for k in hits])
    assert 0.92 < covered < 0.98


def test_t_interval_agrees_with_a_worked_example():
    # mean 0.8, sd 0.1, n 3: half = 4.30265 * 0.1 / sqrt(3) = 0.24841.
    found = t_interval([0.7, 0.8, 0.9])
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.55159, 1.04841), abs=1e-4)
    assert found.n == 3


def test_one_seed_has_a_mean_and_no_interval():
    found = t_interval([0.8])
    assert (found.mean, found.low, found.high, found.n) == (0.8, None, None, 1)
    assert found.interval == "none: one seed"


def test_t_interval_refuses_undefined_values():
    with pytest.raises(InvalidInput, match="Leave undefined ones out"):
        t_interval([0.5, float("nan")])


def test_t_interval_covers_the_true_mean():
    draws = np.random.default_rng(1).normal(0.7, 0.05, size=(600, 3))
    covered = np.mean([found.low <= 0.7 <= found.high for found in map(t_interval, draws)])
    assert 0.92 < covered < 0.98


def test_bootstrap_is_close_to_the_normal_interval_and_repeatable():
    labels = np.zeros(400, dtype=int)
    predicted = np.repeat([0, 1], [320, 80])
    found = bootstrap_interval(labels, predicted, seed=3)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.8 - half, 0.8 + half), abs=0.006)
    assert found == bootstrap_interval(labels, predicted, seed=3)


def test_each_kind_of_interval_says_what_it_holds_for():
    assert wilson_interval(8, 10).claim == "this trained model on new images"
    assert bootstrap_interval(np.array([0, 1]), np.array([0, 0])).claim == "this trained model on new images"
    assert t_interval([0.7, 0.8]).claim == "this method on this test set"
    assert t_interval([0.7]).claim is None


def test_bootstrap_by_group_is_wider_when_images_of_a_patient_agree():
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(40) < 0.8, 10)
    labels, predicted = np.zeros(400, dtype=int), (~right).astype(int)
    alone = bootstrap_interval(labels, predicted)
    together = bootstrap_interval(labels, predicted, groups=np.repeat(np.arange(40), 10))
    assert together.n == 40
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.interval == "95% bootstrap over 40 groups"


def test_bootstrap_knows_balanced_accuracy_and_macro_f1():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert bootstrap_interval(labels, predicted, "balanced_accuracy").mean == pytest.approx((2 / 3 + 1) / 2)
    assert bootstrap_interval(labels, predicted, "macro_f1").mean == pytest.approx((0.8 + 2 / 3) / 2)


def test_bootstrap_covers_the_true_accuracy():
    rng = np.random.default_rng(2)
    found = [bootstrap_interval(np.zeros(60, int), rng.random(60) < 0.3, resamples=400) for _ in range(200)]
    assert 0.88 < np.mean([f.low <= 0.7 <= f.high for f in found]) < 0.99


def test_one_image_or_one_patient_has_no_bootstrap_interval():
    assert bootstrap_interval(np.array([0]), np.array([0])).low is None
    alone = bootstrap_interval(np.array([0, 1]), np.array([0, 0]), groups=["p1", "p1"])
    assert (alone.mean, alone.low, alone.n, alone.interval) == (0.5, None, 1, "none: one group")


def test_an_unknown_metric_is_refused():
    with pytest.raises(InvalidInput, match="found 'auroc'"):
        bootstrap_interval(np.array([0, 1]), np.array([0, 1]), "auroc")


def test_lengths_that_differ_are_refused():
    with pytest.raises(InvalidInput, match="of one length; found 2, 1"):
        bootstrap_interval(np.array([0, 1]), np.array([0]))
