"""Temperature scaling on worked numbers."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.calibration import apply_temperature, fit_temperature
from core.evaluation.metrics import expected_calibration_error


def test_a_large_part_recovers_the_temperature_the_likelihood_asks_for():
    # Logit gap 4, right in 3 of 4: the likelihood alone is best where sigmoid(4 / T) = 3/4, so T = 4 / ln 3 = 3.641.
    logits = np.tile([4.0, 0.0], (40_000, 1))
    labels = np.tile([0, 0, 0, 1], 10_000)
    assert fit_temperature(logits, labels).value == pytest.approx(4 / np.log(3), rel=1e-3)


def test_the_posterior_of_one_image_solves_its_own_equation():
    # One image with gap 2, right. d/du [log(1 + exp(-2 e^-u)) + u^2 / (2 * 0.5^2)] = 0 with u = log T.
    u = np.log(fit_temperature(np.array([[2.0, 0.0]]), np.array([0])).value)
    gap = 2 * np.exp(-u)
    assert gap / (1 + np.exp(gap)) + 4 * u == pytest.approx(0.0, abs=1e-4)


def test_a_tiny_perfect_part_does_not_drive_the_temperature_to_zero():
    found = fit_temperature(np.array([[5.0, 0.0], [0.0, 5.0], [6.0, 0.0], [0.0, 4.0]]), np.array([0, 1, 0, 1]))
    assert 0.7 < found.value < 1.0
    assert found.n == 4
    assert found.note == "Calibrated on 4 validation images only: take probabilities as rough."


def test_no_validation_image_leaves_the_temperature_at_one_and_says_so():
    found = fit_temperature(np.zeros((0, 3)), np.zeros(0))
    assert (found.value, found.n) == (1.0, 0)
    assert found.note == "No validation image was left: probabilities are not calibrated."


def test_applying_divides_the_logits():
    assert apply_temperature(np.array([[2 * np.log(3.0), 0.0]]), 2.0)[0] == pytest.approx([0.75, 0.25])


def test_calibration_lowers_the_error_and_keeps_the_order():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2000, 3)) * 1.5
    labels = np.array([rng.choice(3, p=p) for p in apply_temperature(logits, 1.0)])
    overconfident = logits * 4
    found = fit_temperature(overconfident, labels)
    assert found.value == pytest.approx(4.0, rel=0.1)
    before, after = apply_temperature(overconfident, 1.0), apply_temperature(overconfident, found)
    assert expected_calibration_error(after, labels) < 0.05 < expected_calibration_error(before, labels)
    assert (before.argmax(1) == after.argmax(1)).all()


def test_diverged_logits_are_refused():
    with pytest.raises(InvalidInput, match="training diverged"):
        fit_temperature(np.array([[np.inf, 0.0]]), np.array([0]))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(InvalidInput, match="above 0"):
        apply_temperature(np.zeros((1, 2)), 0.0)


def test_a_prior_of_half_loses_less_with_four_images_than_one_twice_as_wide():
    # 4 images of a model that is right as it is: how much log loss over new images the temperature costs, on average
    rng = np.random.default_rng(7)

    def drawn(n):
        labels = rng.integers(0, 4, n)
        scores = rng.normal(size=(n, 4)) + 1.5 * np.eye(4)[labels]
        # the posterior of these scores: a softmax of 1.5 times them
        return 1.5 * scores, labels

    def loss(logits, labels, value):
        return -np.log(apply_temperature(logits, value)[np.arange(len(labels)), labels]).mean()

    new = drawn(20_000)
    costs = {sigma: [] for sigma in (0.5, 1.0)}
    for _ in range(60):
        few = drawn(4)
        for sigma, found in costs.items():
            found.append(loss(*new, fit_temperature(*few, prior_sigma=sigma).value) - loss(*new, 1.0))
    assert 0 < np.mean(costs[0.5]) < 0.5 * np.mean(costs[1.0])
