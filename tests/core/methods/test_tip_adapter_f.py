"""Tip-Adapter-F's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.tuning.cache_model import Blend, affinity_scores, leave_own_out, one_hot, search_blend
from core.tuning.loop import fit
from tests.core.tuning.test_every_method import build, clustered_data


def test_the_cache_adds_alpha_times_the_kernel_to_the_class_of_each_key() -> None:
    scores = affinity_scores(torch.tensor([[0.5, 1.0]]), one_hot(torch.tensor([1, 0]), 2), Blend(2.0, 3.0))
    assert scores[0].tolist() == pytest.approx([2.0, 2 * math.exp(-1.5)])


def test_without_weight_the_cache_leaves_zero_shot() -> None:
    method, data = build("tip_adapter_f"), clustered_data()
    fit(method, data, seed=0)
    method.blend = torch.tensor([0.0, 1.0], dtype=torch.float64)
    images = data.train_features()
    with torch.no_grad():
        torch.testing.assert_close(method.logits(images), build("zero_shot").logits(images))


def test_the_search_keeps_the_first_best_pair() -> None:
    affinity = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    values, labels = one_hot(torch.tensor([0, 1]), 2), torch.tensor([0, 1])
    # the zero-shot scores are wrong by one for both; at beta 0.1 the kernel's two values differ by
    # exp(-0.01) - exp(-0.09) = 0.0761 and exp(-0.02) - exp(-0.08) = 0.0571, so alpha must exceed 17.52
    base = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = search_blend(affinity, values, base, labels)
    assert found.beta == pytest.approx(0.1)
    assert found.alpha == pytest.approx(0.1 + 70 * 49.9 / 200)


def test_inside_the_shots_no_image_votes_for_itself() -> None:
    affinity = leave_own_out(torch.ones(2, 2))
    scores = affinity_scores(affinity, one_hot(torch.tensor([0, 1]), 2), Blend(1.0, 1.0))
    assert scores.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_training_changes_the_keys() -> None:
    method, data = build("tip_adapter_f"), clustered_data()
    start = data.train_features().clone()
    fit(method, data, seed=0)
    assert method.keys.shape == start.shape
    assert float((method.keys.detach() - start).abs().max()) > 1e-3
