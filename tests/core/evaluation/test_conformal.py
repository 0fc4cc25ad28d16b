"""Prediction sets on worked numbers, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.conformal import (
    class_p_values,
    highest_level,
    images_needed,
    lac_scores,
    measured_sets,
    members,
    set_threshold,
    unlucky_coverage,
)


def test_how_many_images_a_level_needs() -> None:
    assert [images_needed(level) for level in (0.8, 0.9, 0.95)] == [4, 9, 19]
    assert [round(highest_level(n), 3) for n in (4, 9, 16, 19, 64)] == [0.8, 0.9, 0.941, 0.95, 0.985]


def test_the_threshold_is_the_kth_smallest_score_and_none_where_k_is_beyond_n() -> None:
    scores = np.arange(1, 20) / 20
    # k = ceil(20 * 0.9) = 18
    assert set_threshold(scores, 0.9) == pytest.approx(0.9)
    assert set_threshold(scores, 0.95) == pytest.approx(0.95)
    assert set_threshold(scores[:8], 0.9) is None
    assert set_threshold(scores[:9], 0.9) == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("n", "level", "below"),
    [(9, 0.9, 0.717), (16, 0.9, 0.829), (19, 0.9, 0.774), (64, 0.9, 0.843), (19, 0.95, 0.854), (8, 0.9, None)],
)
def test_what_one_of_twenty_draws_stays_below(n: int, level: float, below: float | None) -> None:
    # B = Beta(k, n + 1 - k); with n = 9, k = 9: P(B < x) = x^9 = 0.05
    found = unlucky_coverage(n, level)
    assert found == (None if below is None else pytest.approx(below, abs=5e-4))


def test_p_values_and_the_threshold_give_the_same_sets() -> None:
    draw = np.random.default_rng(3)
    scores, new = draw.random(23), draw.random((200, 4))
    p = class_p_values([scores], [new])
    assert p[0, 0] == pytest.approx((1 + (scores >= new[0, 0]).sum()) / 24)
    assert (members(p, 0.9) == (new <= set_threshold(scores, 0.9))).all()
    # folds count together, each against the scores of its own model
    half = class_p_values([scores[:11], scores[11:]], [new, new + 0.1])
    assert half[0, 0] == pytest.approx(
        (1 + (scores[:11] >= new[0, 0]).sum() + (scores[11:] >= new[0, 0] + 0.1).sum()) / 24
    )


def test_what_sets_did_is_counted_with_intervals_and_by_class() -> None:
    inside = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=bool)
    found = measured_sets(inside, np.array([0, 0, 1, 1]), ["a", "b"])
    assert (found["n"], found["coverage"], found["size"]) == (4, 0.75, 1.0)
    assert (found["single"], found["empty"], found["full"]) == (0.5, 0.25, 0.25)
    assert [(row["class"], row["coverage"], row["size"]) for row in found["per_class"]] == [
        ("a", 1, 1.5),
        ("b", 0.5, 0.5),
    ]
    # Wilson, 2 of 2: 2 / (2 + 1.96^2)
    assert found["per_class"][0]["low"] == pytest.approx(2 / (2 + 1.959964**2))


@pytest.mark.parametrize(("n", "seed"), [(9, 21), (16, 22), (64, 23)])
def test_coverage_over_draws_of_the_calibration_images(n: int, seed: int) -> None:
    """Mean and 5th percentile of the true coverage: those of Beta(k, n + 1 - k)."""
    draw = np.random.default_rng(seed)

    def answers(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = draw.integers(0, 4, count)
        scores = 1.3 * np.eye(4)[labels] + draw.normal(size=(count, 4))
        p = np.exp(scores)
        return lac_scores(p / p.sum(axis=1, keepdims=True)), labels

    new, true = answers(4000)
    found = []
    for _ in range(600):
        scores, labels = answers(n)
        inside = members(class_p_values([scores[np.arange(n), labels]], [new]))
        found.append(inside[np.arange(4000), true].mean())
    k = int(np.ceil((n + 1) * 0.9 - 1e-9))
    assert np.mean(found) == pytest.approx(k / (n + 1), abs=0.012)
    assert np.quantile(found, 0.05) == pytest.approx(unlucky_coverage(n), abs=0.03)
