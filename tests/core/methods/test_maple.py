"""MaPLe's worked numbers."""

from __future__ import annotations

import torch

from core.tuning.contract import Batch
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build


def test_the_default_learns_what_is_used_and_nothing_else() -> None:
    method, tower = build("maple"), tiny_backbone()
    expected = 4 * tower.text_width + tower.text_width * tower.image_width + tower.image_width
    assert sum(p.numel() for p in method.parameters()) == expected
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_the_published_effective_size_follows_from_its_widths() -> None:
    assert 4 * 768 + 768 * 768 + 768 == 593_664


def test_visual_vectors_are_a_linear_map_of_the_words() -> None:
    method = build("maple")
    with torch.no_grad():
        (vectors,) = method.visual_tokens().vectors
        expected = method.context.vectors @ method.proj.weight.T + method.proj.bias
    torch.testing.assert_close(vectors, expected)


def test_deep_prompts_appended_behind_the_patches_all_get_a_gradient() -> None:
    method = build("maple", depth=3, visual_mode="append", context_length=2, text_dropout=False)
    tokens = method.visual_tokens()
    assert (len(tokens.vectors), tokens.mode, tokens.start) == (3, "insert", -1)
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_the_papers_depth_is_nine_of_twelve_layers_of_the_smaller_tower() -> None:
    layers = min(tiny_backbone().image_layers, tiny_backbone().text_layers)
    tokens = build("maple", depth=None).visual_tokens()
    assert (layers, len(tokens.vectors)) == (3, 2)
