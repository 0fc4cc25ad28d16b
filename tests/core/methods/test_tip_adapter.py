"""Tip-Adapter's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.tuning.loop import fit
from core.tuning.scores import predict_logits
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data, unit_vectors


def test_each_training_image_votes_for_its_class() -> None:
    method, data = build("tip_adapter", search=False), clustered_data()
    fit(method, data, seed=0)
    images = data.train_features()
    with torch.no_grad():
        votes = method.logits(images[:1]) - build("zero_shot").logits(images[:1])
    expected = [
        sum(math.exp(float(images[0] @ key) - 1) for key, label in zip(images, data.labels, strict=True) if label == c)
        for c in range(3)
    ]
    assert votes[0].tolist() == pytest.approx(expected, abs=1e-3)


def test_a_cache_without_weight_leaves_the_predictions_of_zero_shot() -> None:
    method = build("tip_adapter", search=False)
    fit(method, clustered_data(), seed=0)
    images = unit_vectors(200, tiny_backbone().joint_width)
    plain = predict_logits(build("zero_shot"), images)
    voted = predict_logits(method, images)
    method.blend = torch.tensor([0.0, 5.5], dtype=torch.float64)
    assert torch.equal(predict_logits(method, images), plain)
    assert not torch.equal(voted, plain)


def test_weights_are_chosen_without_an_image_voting_for_itself() -> None:
    method, data = build("tip_adapter"), clustered_data()
    fit(method, data, seed=0)
    method.tune(data)
    alpha, beta = method.blend.tolist()
    assert 0.1 <= alpha < 50
    assert 0.1 <= beta < 50
    assert (alpha, beta) != (1.0, 1.0)


def test_nothing_is_trained() -> None:
    assert list(build("tip_adapter").parameters()) == []
