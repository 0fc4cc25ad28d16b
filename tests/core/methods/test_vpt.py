"""VPT's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.errors import InvalidOption
from core.tuning.contract import Batch
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build


def pixels(count: int = 2) -> torch.Tensor:
    size = tiny_backbone().preprocessing.size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_four_vectors_of_the_towers_width_are_learned_and_get_a_gradient() -> None:
    method = build("vpt")
    (vectors,) = method.parameters()
    assert vectors.shape == (4, tiny_backbone().image_width)
    terms = method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels()))
    method.backward(terms)
    assert float(vectors.grad.abs().sum()) > 0


def test_zero_vectors_in_the_first_layer_are_zeros_in_place_of_patches() -> None:
    method = build("vpt")
    with torch.no_grad():
        for vectors in method.visual.vectors:
            vectors.zero_()
        hidden = tiny_backbone().image_tokens(pixels(), method.visual_tokens())
        blank = tiny_backbone().encode_images(pixels(), method.visual_tokens())
    assert hidden.shape[1] == 1 + tiny_backbone().patch_grid[0] * tiny_backbone().patch_grid[1]
    torch.testing.assert_close(
        method.encode_images(pixels()).detach(), torch.nn.functional.normalize(blank, dim=-1), atol=1e-6, rtol=0
    )


def test_inserted_vectors_lengthen_the_sequence() -> None:
    method = build("vpt", visual_mode="insert", visual_depth=2)
    hidden = tiny_backbone().image_tokens(pixels(), method.visual_tokens())
    assert hidden.shape[1] == 5 + tiny_backbone().patch_grid[0] * tiny_backbone().patch_grid[1]


def test_more_layers_than_the_tower_has_are_refused() -> None:
    layers = tiny_backbone().image_layers
    with pytest.raises(InvalidOption, match=f"has {layers} layers; depth is {layers + 1}"):
        build("vpt", visual_depth=layers + 1)


def test_the_paper_gives_every_layer_vectors_of_its_own() -> None:
    method = build("vpt", visual_mode="insert", visual_depth=None)
    shape = (tiny_backbone().image_layers, 4, tiny_backbone().image_width)
    assert torch.stack(list(method.visual.vectors)).shape == shape
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(layer.grad.abs().sum()) > 0 for layer in method.visual.vectors)
