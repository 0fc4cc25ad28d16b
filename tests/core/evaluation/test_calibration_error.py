"""Calibration error, proper scores and the reliability diagram on worked numbers; the null by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.calibration import apply_temperature
from core.evaluation.calibration_error import (
    brier,
    brier_skill,
    calibration_error,
    log_loss,
    mass_bins,
    measured_calibration,
    reliability,
)

STATED = np.array([0.6] * 5 + [0.9] * 5)
TWO = np.stack([STATED, 1 - STATED], axis=1)
RIGHT = np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 1])
"""2 of 5 right where 0.6 is stated, 4 of 5 where 0.9 is."""


def test_brier_and_log_loss_of_ten_answers() -> None:
    # right at p: 2 (1-p)^2, wrong: 2 p^2
    worked = (2 * 2 * 0.4**2 + 3 * 2 * 0.6**2 + 4 * 2 * 0.1**2 + 2 * 0.9**2) / 10
    assert brier(TWO, RIGHT) == pytest.approx(worked)
    # 6 of 10 images are of the first class: stating that gives 1 - 0.36 - 0.16
    assert brier_skill(TWO, RIGHT) == pytest.approx(1 - worked / 0.48)
    assert log_loss(TWO, RIGHT) == pytest.approx(-np.log([0.6] * 2 + [0.4] * 3 + [0.9] * 4 + [0.1]).mean())


def test_skill_is_unknown_where_one_class_has_images() -> None:
    assert brier_skill(np.array([[0.7, 0.3]]), np.array([0])) is None


def test_error_and_its_debiased_square_of_two_bins() -> None:
    found = calibration_error(TWO, RIGHT)
    assert (found["n"], found["bins"]) == (10, 2)
    assert found["value"] == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    assert found["square"] == pytest.approx(0.5 * (0.2**2 - 0.4 * 0.6 / 4) + 0.5 * (0.1**2 - 0.8 * 0.2 / 4))
    assert found["square"] < 0
    assert found["root"] is None


def test_bins_are_of_equal_size_and_ties_keep_their_order() -> None:
    assert [part.tolist() for part in mass_bins(np.array([0.5, 0.5, 0.4, 0.9]), 2)] == [[2, 0], [1, 3]]
    assert [len(mass_bins(np.linspace(0.5, 1, n))) for n in (5, 39, 60, 100, 400)] == [2, 2, 3, 5, 15]


def test_a_row_of_the_diagram_holds_counts_wilson_and_what_a_calibrated_model_would_show() -> None:
    low, high = reliability(TWO, RIGHT)
    assert (low["n"], low["confidence"], low["accuracy"]) == (5, pytest.approx(0.6), 0.4)
    z = 1.959964
    half = z / (1 + z**2 / 5) * np.sqrt(0.4 * 0.6 / 5 + z**2 / 100)
    assert low["accuracy_low"] == pytest.approx((0.4 + z**2 / 10) / (1 + z**2 / 5) - half)
    # Binomial(5, 0.6): P(X = 0) = 1 %, P(X <= 1) = 9 %, P(X = 5) = 8 %
    assert (low["expected_low"], low["expected_high"]) == (0.2, 1.0)
    assert (high["low"], high["high"]) == (0.9, 0.9)


def test_several_runs_on_the_same_images_do_not_narrow_the_interval() -> None:
    (_, once), (_, thrice) = reliability(TWO, RIGHT), reliability(np.tile(TWO, (3, 1)), np.tile(RIGHT, 3), repeats=3)
    assert (once["n"], thrice["n"]) == (5, 15)
    assert thrice["accuracy_low"] == pytest.approx(once["accuracy_low"])


def test_the_temperature_of_the_test_part_is_told_and_not_used() -> None:
    # gap 4, right in 3 of 4: T = 4 / ln 3; stated with T = 2 the slope is 2 ln 3 / 4
    logits, labels = np.tile([4.0, 0.0], (40, 1)), np.tile([0, 0, 0, 1], 10)
    found = measured_calibration(logits, 2.0, labels, grouped=True)
    assert found["test_temperature"] == pytest.approx(4 / np.log(3), rel=1e-3)
    assert found["slope"] == pytest.approx(2 * np.log(3) / 4, rel=1e-3)
    assert found["brier"] == pytest.approx(brier(apply_temperature(logits, 2.0), labels))
    assert found["sentence"].startswith("Calibration error 0.13 on 40 images; a perfectly calibrated model would show")
    assert found["sentence"].endswith("Images of one patient count as independent there.")


@pytest.mark.parametrize("seed", [11, 12])
def test_a_calibrated_model_is_called_miscalibrated_in_one_of_twenty(seed: int) -> None:
    draw, rejected, squares = np.random.default_rng(seed), 0, []
    for again in range(400):
        p = draw.dirichlet([1.2] * 3, 100)
        labels = (draw.random(100)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=2)
        found = calibration_error(p, labels, seed=again)
        rejected += found["p"] <= 0.05
        squares.append(found["square"])
    # 20 of 400 expected; three standard deviations are 13
    assert 7 <= rejected <= 33
    # debiased: 0 on average, within three standard errors
    assert abs(np.mean(squares)) < 3 * np.std(squares) / np.sqrt(400)
