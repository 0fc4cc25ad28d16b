"""GDA's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.methods.gda import gaussian_scores
from core.tuning.data import TensorData
from core.tuning.loop import fit
from tests.core.methods.toy import IMAGES, LABELS, QUERY, query_logits, toy, toy_data
from tests.core.tuning.test_every_method import build, clustered_data

CENTRE = {"support_view": "center", "search": False}


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, (45.091468, 55.491468)), (0.1, (8.829147, 12.749147))])
def test_scores_are_the_worked_ones(alpha: float, expected: tuple[float, float]) -> None:
    method = toy("gda", alpha=alpha, **CENTRE)
    fit(method, toy_data(), seed=0)
    assert query_logits(method) == pytest.approx(expected, abs=1e-3)


def test_weights_and_biases_are_the_worked_ones() -> None:
    weight, bias = gaussian_scores(IMAGES, LABELS, 2, by_count=False)
    assert weight[0].tolist() == pytest.approx([70.961538, 25.961538, 60.576923], abs=1e-4)
    assert bias.tolist() == pytest.approx([-46.731609] * 2, abs=1e-4)


def test_one_image_per_class_in_one_view_is_zero_shot() -> None:
    method = toy("gda", **CENTRE)
    fit(method, TensorData(LABELS[::2], [[0, 1]], features=IMAGES[::2]), seed=0)
    assert method.weight.abs().max() == 0
    assert method.bias.tolist() == pytest.approx([-0.693147] * 2, abs=1e-5)


def test_so_one_image_per_class_is_seen_in_two_views() -> None:
    config = toy("gda", **CENTRE).config
    assert (config.settled(2, 2).support_view, config.settled(2, 2).support_views) == ("mild", 2)
    assert config.settled(4, 2) == config


def test_without_weight_it_is_zero_shot() -> None:
    method = toy("gda", alpha=0, **CENTRE)
    fit(method, toy_data(), seed=0)
    assert query_logits(method) == pytest.approx([4.8, 8.0], abs=1e-4)


def test_frequent_classes_may_count_more() -> None:
    _, uniform = gaussian_scores(IMAGES[:3], LABELS[:3], 2, by_count=False)
    _, counted = gaussian_scores(IMAGES[:3], LABELS[:3], 2, by_count=True)
    gained = counted - uniform
    assert gained.tolist() == pytest.approx([math.log(4 / 3), math.log(2 / 3)], abs=1e-6)


def test_a_class_without_images_scores_as_the_mean_of_the_others() -> None:
    weight, bias = gaussian_scores(IMAGES, LABELS, 3, by_count=False)
    assert torch.allclose(weight[2], weight[:2].mean(dim=0))
    assert torch.isclose(bias[2], bias[:2].mean())


def test_the_weight_is_chosen_by_hits_the_smallest_of_equal_ones() -> None:
    method = build("gda")
    fit(method, clustered_data(), seed=0)
    plain = build("gda", search=False)
    fit(plain, clustered_data(), seed=0)
    assert float(method.alpha) in (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)
    assert float(plain.alpha) == 1.0


def test_validation_images_choose_before_folds() -> None:
    # the query is of class 1 for zero-shot; called class 0, no weight helps: the smallest stays out of play
    method = toy("gda", support_view="center")
    held = toy_data(validation_features=torch.cat([QUERY, IMAGES[:1]]), validation_labels=torch.tensor([1, 0]))
    fit(method, held, seed=0)
    assert float(method.alpha) == pytest.approx(1e-4)
