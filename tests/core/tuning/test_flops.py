"""Operations of an answer, counted by hand."""

from __future__ import annotations

import pytest

from core.tuning.flops import gflops_per_image
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build


def operations_of_the_tower() -> int:
    """Of the tiny vision transformer on one picture: a multiply-add counts as two."""
    tower = tiny_backbone()
    width, tokens, layers = tower.image_width, 1 + tower.patch_grid[0] * tower.patch_grid[1], tower.image_layers
    block = tower.image_blocks()[0]
    hidden = block.mlp.fc1.out_features
    patches = 2 * (tokens - 1) * width * 3 * (64 // tower.patch_grid[0]) ** 2
    matrices = 2 * tokens * width * (3 * width + width + 2 * hidden)
    attention = 2 * 2 * tokens * tokens * width
    return patches + layers * (matrices + attention) + 2 * width * tower.joint_width


def test_zero_shot_takes_the_tower_and_one_product() -> None:
    method = build("zero_shot").eval()
    # one product of the feature with three class features
    expected = operations_of_the_tower() + 2 * 3 * method.backbone.joint_width
    assert gflops_per_image(method) == pytest.approx(expected / 1e9, rel=1e-9)


def test_texts_that_depend_on_the_image_are_counted_and_others_are_not() -> None:
    plain, words, each = (gflops_per_image(build(name).eval()) for name in ("zero_shot", "coop", "cocoop"))
    assert words == plain
    assert each > 1.05 * plain
