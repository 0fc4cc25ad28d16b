"""CLIP-Adapter's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.tuning.contract import LoopConfig
from core.tuning.loop import learning_rate
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data


def test_without_a_share_the_adapter_leaves_zero_shot() -> None:
    images = clustered_data().train_features()
    with torch.no_grad():
        torch.testing.assert_close(build("clip_adapter", ratio=0.0).logits(images), build("zero_shot").logits(images))


def test_the_mixed_feature_is_a_share_of_the_network_and_the_rest_of_the_image() -> None:
    method, images = build("clip_adapter", ratio=0.5, unit_norm=False), clustered_data().train_features()
    first, second = method.fc[0].weight, method.fc[2].weight
    with torch.no_grad():
        adapted = ((images @ first.T).clamp(min=0) @ second.T).clamp(min=0)
        expected = tiny_backbone().logit_scale * (0.5 * adapted + 0.5 * images) @ method.class_features().T
        torch.testing.assert_close(method.logits(images), expected, atol=1e-4, rtol=0)


def test_two_bias_free_layers_are_learned() -> None:
    width = tiny_backbone().joint_width
    assert sum(p.numel() for p in build("clip_adapter").parameters()) == 2 * width * (width // 4)


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-5), (5, 0.00905), (10, 0.00578), (15, 0.00206), (20, 0.00006)])
def test_the_published_schedule_swings(step: int, rate: float) -> None:
    config = LoopConfig(epochs=20, learning_rate=0.01, schedule="cosine_swing")
    assert learning_rate(config, 0, step, 1) == pytest.approx(rate, abs=6e-6)
