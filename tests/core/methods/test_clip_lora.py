"""CLIP-LoRA's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.tuning.contract import Batch
from core.tuning.loop import fit, learning_rate
from core.tuning.registry import get_method
from tests.builders import TOWERS
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build, data_for

CONFIG = get_method("clip_lora").Config
WIDTHS = {"clip": (768, 512), "biomedclip": (768, 768)}


def test_the_course_of_the_rate() -> None:
    config = CONFIG(epochs=4000)
    rates = [learning_rate(config, step // 2, step % 2, 2) for step in (0, 4000, 7999)]
    assert rates == pytest.approx([2e-4, 1.005e-4, 1.00001e-6], rel=1e-5)


@pytest.mark.parametrize(("images", "classes", "steps"), [(64, 4, 8000), (3, 3, 500), (9, 4, 1000)])
def test_steps_follow_the_images_of_a_class(images: int, classes: int, steps: int) -> None:
    each = -(-images // 32)
    assert CONFIG().settled(images, classes).epochs == -(-steps // each)
    assert CONFIG(epochs=7).settled(images, classes).epochs == 7


def test_the_factor_is_over_the_root_of_the_rank() -> None:
    assert CONFIG().factor == pytest.approx(0.707107, abs=1e-6)
    assert CONFIG(scaling="rank").factor == 0.5


@pytest.mark.parametrize("towers", TOWERS)
def test_each_matrix_gets_two_of_its_rank(towers: str) -> None:
    method = build("clip_lora", towers=towers)
    tower = method.backbone
    sizes = tower.image_layers * tower.image_width + tower.text_layers * tower.text_width
    # 12 blocks of widths 768 and 512, and of 768 on both sides, give the published 184,320 and our 221,184
    assert sum(p.numel() for p in method.parameters()) == 3 * 2 * 2 * sizes
    assert [3 * 2 * 2 * 12 * sum(widths) for widths in WIDTHS.values()] == [184_320, 221_184]


@pytest.mark.parametrize("towers", TOWERS)
def test_before_the_first_step_it_is_zero_shot_and_only_b_gets_a_gradient(towers: str) -> None:
    method, plain = build("clip_lora", towers=towers), build("zero_shot", towers=towers)
    with torch.no_grad():
        found, known = (m.logits(m.encode_images(pixels())) for m in (method, plain))
    torch.testing.assert_close(found, known, atol=1e-4, rtol=0)
    method.train()
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(not p.grad.any() for p in method.down.values())
    assert all(bool(p.grad.any()) for p in method.up.values())


@pytest.mark.parametrize("towers", TOWERS)
def test_merged_and_beside_agree_after_training(towers: str) -> None:
    method = build("clip_lora", towers=towers, low_rank_dropout=False, learning_rate=0.01)
    fit(method, data_for(method), seed=0)
    with torch.no_grad():
        merged = method.logits(method.encode_images(pixels()))
    method.train()
    beside = method.logits(method.encode_images(pixels())).detach()
    torch.testing.assert_close(beside, merged, atol=1e-3, rtol=1e-4)
    assert float((merged - build("zero_shot", towers=towers).logits(method.encode_images(pixels()))).abs().max()) > 0.1


def test_dropout_is_of_the_change_alone() -> None:
    method = build("clip_lora").train()
    first, second = (method.encode_images(pixels()).detach() for _ in range(2))
    # B is zero, so nothing that is dropped can be seen
    assert torch.equal(first, second)
    with torch.no_grad():
        for up in method.up.values():
            up.fill_(0.1)
    first, second = (method.encode_images(pixels()).detach() for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("position", "blocks", "steady"), [("half-up", [3, 4, 5], 3), ("bottom", [0, 1], 0)])
def test_positions_count_in_twelfths(position: str, blocks: list[int], steady: int) -> None:
    method = build("clip_lora", position=position)
    assert method.backbone.image_layers == 6
    assert sorted({m.layer for m in method._adapted if m.tower == "image"}) == blocks
    assert method.steady_layers() == steady
