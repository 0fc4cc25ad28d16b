"""Weights of a method's own in the towers: the same by every way, and nobody else sees them."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import Tensor

from core.backbones.open_clip_adapter import OpenClipBackbone
from core.backbones.weight_places import PARTS, place_weights, project_rows
from tests.builders import TOWERS, tiny_backbone

TEXTS = ["bright disc", "a much longer dark disc"]


def answers(backbone: OpenClipBackbone, fast: bool) -> Tensor:
    """Features of two pictures and two texts."""
    size = backbone.preprocessing.size
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    found = backbone.tokenize(TEXTS)
    with torch.no_grad(), backbone.fast_passes() if fast else nullcontext():
        texts = backbone.encode_text(backbone.embed_tokens(found.ids), found.mask)
        return torch.cat([backbone.encode_images(pixels), texts])


def low_rank(backbone: OpenClipBackbone, parts: tuple[str, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """Two small random matrices for each matrix of these parts."""
    drawn = torch.Generator().manual_seed(2)
    return {
        m.name: (
            0.1 * torch.randn(2, m.weight.shape[1], generator=drawn),
            0.1 * torch.randn(m.weight.shape[0], 2, generator=drawn),
        )
        for m in backbone.matrices()
        if m.part in parts
    }


def product(pair: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    return x @ pair[0].T @ pair[1].T


@pytest.mark.parametrize("towers", TOWERS)
def test_every_block_has_its_six_matrices_once(towers: str) -> None:
    backbone = tiny_backbone(towers)
    names = [m.name for m in backbone.matrices()]
    assert len(names) == len(set(names)) == 6 * (backbone.image_layers + backbone.text_layers)
    assert {m.part for m in backbone.matrices()} == set(PARTS)


@pytest.mark.parametrize("towers", TOWERS)
@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
def test_a_shell_without_a_change_gives_the_frozen_features(towers: str, fast: bool) -> None:
    own = tiny_backbone(towers).with_own_weights()
    place_weights(own.matrices(), {})
    assert torch.equal(answers(own, fast), answers(tiny_backbone(towers), fast))


@pytest.mark.parametrize("towers", TOWERS)
@pytest.mark.parametrize("parts", [("q", "k", "v"), ("v", "o"), PARTS], ids=["attention", "two", "all"])
def test_added_products_and_changed_weights_agree_on_every_way(towers: str, parts: tuple[str, ...]) -> None:
    backbone = tiny_backbone(towers)
    before = answers(backbone, True)
    beside, merged = backbone.with_own_weights(), backbone.with_own_weights()
    pairs = low_rank(backbone, parts)
    beside.add_to_products({name: partial(product, pair) for name, pair in pairs.items()})
    matrices = merged.matrices()
    place_weights(
        matrices, {m.name: m.weight + pairs[m.name][1] @ pairs[m.name][0] for m in matrices if m.name in pairs}
    )
    expected = answers(merged, False)
    assert float((expected - before).abs().max()) > 1e-2
    for found in (answers(merged, True), answers(beside, False), answers(beside, True)):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    beside.add_to_products({})
    assert torch.equal(answers(beside, True), before)
    assert torch.equal(answers(backbone, True), before)


def test_a_fast_pass_in_bf16_uses_what_was_placed() -> None:
    own = tiny_backbone().with_own_weights()
    own.precision = "bf16"
    before, matrices = answers(own, True), own.matrices()
    place_weights(matrices, {m.name: 2 * m.weight for m in matrices})
    assert float((answers(own, True) - before).abs().max()) > 0.1


def test_the_worked_low_rank_product() -> None:
    layer = torch.nn.Linear(3, 2, bias=False)
    layer.weight = torch.nn.Parameter(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    down, up = torch.tensor([[0.5, -0.5, 0.0], [0.0, 1.0, 1.0]]), torch.tensor([[0.2, 0.0], [0.0, -0.4]])
    layer.__dict__["added"] = lambda x, start, end: 2**-0.5 * product((down, up), x)
    found = project_rows(layer, torch.tensor([[1.0, 2.0, 3.0]]), 0, 2)
    assert found[0].tolist() == pytest.approx([0.929289, 0.585786], abs=1e-6)
