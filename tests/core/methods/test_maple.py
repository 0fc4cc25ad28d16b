"""MaPLe's worked numbers."""

from __future__ import annotations

from typing import Any

import torch

from core.descriptions.templates import template_descriptions
from core.tuning.contract import Batch, Task
from core.tuning.registry import get_method
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build


def test_the_default_learns_what_is_used_and_nothing_else() -> None:
    method, tower = build("maple"), tiny_backbone()
    expected = 4 * tower.text_width + tower.text_width * tower.image_width + tower.image_width
    assert sum(p.numel() for p in method.parameters()) == expected
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_at_depth_one_the_words_and_one_linear_map_get_a_gradient_and_nothing_else() -> None:
    method, tower = build("maple", depth=1), tiny_backbone()
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    reached = {name: tuple(p.shape) for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {
        "context.vectors": (4, tower.text_width),
        "proj.weight": (tower.image_width, tower.text_width),
        "proj.bias": (tower.image_width,),
    }
    assert len(list(method.parameters())) == 3
    assert all(p.grad is None for p in tower.model.parameters())


class WideTower:
    """The tiny backbone, saying that both towers are as wide as those of the published settings."""

    text_width = image_width = 768

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, self.text_width)

    def __getattr__(self, name: str) -> Any:
        return getattr(tiny_backbone(), name)


def test_towers_of_the_published_widths_give_its_effective_size() -> None:
    maple = get_method("maple")
    method = maple(maple.Config(context_length=4), Task(WideTower(), CLASSES, template_descriptions(CLASSES)))
    assert sum(p.numel() for p in method.parameters()) == 4 * 768 + 768 * 768 + 768 == 593_664


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
