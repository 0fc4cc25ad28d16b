"""CLIP-SVD's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.errors import BackboneMismatch
from core.methods.clip_svd import decompose, rebuild
from core.tuning.contract import Batch
from core.tuning.loop import learning_rate
from core.tuning.registry import get_method
from tests.builders import TOWERS
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build

WEIGHT = torch.tensor([[3.0, 0.0], [4.0, 5.0]], dtype=torch.float64)


def test_the_worked_decomposition() -> None:
    parts = decompose(WEIGHT)
    assert parts[1].tolist() == pytest.approx([6.708204, 2.236068], abs=1e-6)
    torch.testing.assert_close(rebuild(parts, parts[1]), WEIGHT)
    found = rebuild(parts, torch.tensor([7.0, 2.0], dtype=torch.float64))
    expected = torch.tensor([[2.906888, 0.223607], [4.248529, 5.142956]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_worked_gradient() -> None:
    parts = decompose(WEIGHT)
    values = parts[1].clone().requires_grad_()
    rebuild(parts, values).backward(torch.tensor([[1.0, 0.5], [-0.5, 2.0]], dtype=torch.float64))
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([1.341641, 0.894427], abs=1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_a_matrix_of_any_shape_is_rebuilt(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    weight[0] = 0  # a direction of no length
    parts = decompose(weight)
    torch.testing.assert_close(rebuild(parts, parts[1]).float(), weight, atol=1e-6, rtol=0)
    assert torch.equal(parts[1], parts[1].sort(descending=True).values)


def test_the_swinging_rate_of_the_published_routine() -> None:
    kind = get_method("clip_svd")
    config = kind.Config(**kind.variants["reference"], learning_rate=7e-3, epochs=100)
    rates = [learning_rate(config, step // 2, step % 2, 2) for step in (0, 50, 100, 150, 199)]
    assert rates == pytest.approx([0.007, 0.0035005, 1e-6, 0.0035005, 0.00699827], abs=1e-8)


@pytest.mark.parametrize("towers", TOWERS)
def test_before_the_first_step_it_is_zero_shot(towers: str) -> None:
    method, plain = build("clip_svd", towers=towers), build("zero_shot", towers=towers)
    tower = method.backbone
    sizes = tower.image_layers * tower.image_width + tower.text_layers * tower.text_width
    # 12 blocks of widths 768 and 512, and of 768 on both sides, give the published 92,160 and 110,592
    assert sum(p.numel() for p in method.parameters()) == 6 * sizes
    assert [6 * 12 * (768 + width) for width in (512, 768)] == [92_160, 110_592]
    with torch.no_grad():
        found, known = (m.logits(m.encode_images(pixels())) for m in (method, plain))
    torch.testing.assert_close(found, known, atol=1e-3, rtol=0)


def test_decay_may_draw_to_the_start() -> None:
    method = build("clip_svd", decay_to="start")
    assert all(not p.any() for p in method.parameters())
    batch = Batch(torch.tensor([0, 1]), pixels=pixels())
    with torch.no_grad():
        found, known = (float(m.loss_terms(batch)["cross_entropy"]) for m in (method, build("clip_svd")))
    assert found == pytest.approx(known, abs=1e-4)


def test_a_machine_with_other_directions_refuses_to_answer() -> None:
    method = build("clip_svd")
    with torch.no_grad():
        for values in method.parameters():
            values.mul_(1.1)
    state = method.learned_state()
    build("clip_svd").load_learned_state(state)
    other = build("clip_svd")
    name, (left, values, right) = next(iter(other._parts.items()))
    order = torch.arange(len(values)).flip(0)
    other._parts[name] = left[:, order], values, right[order]
    with pytest.raises(BackboneMismatch, match="singular directions of image_0_q"):
        other.load_learned_state(state)
