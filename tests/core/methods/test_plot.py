"""PLOT's worked numbers."""

from __future__ import annotations

import math

import torch

from core.tuning.contract import Batch
from core.tuning.registry import get_method
from tests.core.methods.test_vpt import pixels
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import build


def test_the_published_widths_give_the_published_size() -> None:
    kind = get_method("plot")
    method = kind(kind.Config(), wide_task(text_width=512))
    assert sum(p.numel() for p in method.parameters()) == 4 * 16 * 512 == 32_768


def test_the_set_of_a_picture_is_its_pooled_feature_and_its_patches() -> None:
    method = build("plot")
    tower = method.backbone
    with torch.no_grad():
        found = method.encode_images(pixels())
        pooled = torch.nn.functional.normalize(tower.encode_images(pixels()), dim=-1)
    assert found.shape == (2, 1 + math.prod(tower.patch_grid), tower.joint_width)
    torch.testing.assert_close(found[:, 0], pooled, atol=1e-5, rtol=0)


def test_one_prompt_and_equal_patches_are_scored_by_their_cosine() -> None:
    method = build("plot", prompts=1, context_length=4)
    feature = torch.nn.functional.normalize(torch.randn(3, 1, method.backbone.joint_width), dim=-1)
    with torch.no_grad():
        found = method.logits(feature.expand(-1, 5, -1))
        expected = method.backbone.logit_scale * feature[:, 0] @ method.class_features().T
        both = build("plot", prompts=1, context_length=4, global_term=True).logits(feature.expand(-1, 5, -1))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(both, 2 * expected, atol=1e-3, rtol=0)


def test_every_prompt_starts_elsewhere_and_gets_a_gradient() -> None:
    method = build("plot")
    first, second = (context.vectors for context in list(method.contexts)[:2])
    assert not torch.equal(first, second)
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())
