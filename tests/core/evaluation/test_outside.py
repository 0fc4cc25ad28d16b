"""Distances to what a model has seen, on worked numbers."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.outside import distances_inside, nearest_images, neighbours_counted, outside_p


def circle(*degrees: float) -> np.ndarray:
    turned = np.radians(degrees)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1)


def test_the_nearest_image_counts_below_fifty_shots_and_the_fifth_from_there() -> None:
    assert [neighbours_counted(n) for n in (1, 49, 50, 1000)] == [1, 1, 5, 5]
    found = nearest_images(circle(10), circle(0, 40, 90, 180))
    assert found.score == pytest.approx([1 - np.cos(np.radians(10))])
    assert found.places.tolist() == [[0, 1, 2]]
    assert found.distances[0] == pytest.approx(1 - np.cos(np.radians([10, 30, 80])))
    many = circle(*range(0, 60))
    assert nearest_images(circle(0), many).score == pytest.approx([1 - np.cos(np.radians(4))])


def test_an_image_is_measured_against_those_of_other_patients_only() -> None:
    seen, groups = circle(0, 1, 50), np.array([7, 7, 8])
    found = distances_inside(seen, groups, [0, 2])
    assert found == pytest.approx([1 - np.cos(np.radians(50)), 1 - np.cos(np.radians(49))])
    assert len(distances_inside(seen, np.zeros(3), [0, 1, 2])) == 0


def test_p_counts_the_image_itself_so_nine_images_give_a_tenth_at_least() -> None:
    calibration = np.arange(1, 10) / 10
    assert outside_p(np.array([2.0, 0.9, 0.05]), calibration) == pytest.approx([0.1, 0.2, 1.0])
    assert outside_p(np.array([1.0]), np.empty(0)) is None


def test_images_like_those_seen_are_called_outside_in_one_of_twenty() -> None:
    draw, called = np.random.default_rng(5), []
    for _ in range(200):
        features = draw.normal(size=(140, 6))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        seen = features[:40]
        calibration = distances_inside(seen, np.arange(40), range(40))
        called.append((outside_p(nearest_images(features[40:], seen).score, calibration) <= 0.05).mean())
    assert np.mean(called) == pytest.approx(0.05, abs=0.015)
