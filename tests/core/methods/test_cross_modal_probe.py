"""Worked numbers of the cross-modal probe."""

from __future__ import annotations

import pytest
import torch

from core.methods.cross_modal_probe import adamw_step, cross_entropy_slope, rate_at, sample_order
from core.tuning.loop import fit
from tests.core.methods.toy import IMAGES, LABELS, QUERY, SCALE, TEXTS, query_logits, toy, toy_data

START = TEXTS[None]
WEIGHT = torch.tensor([[0.9, -0.2, 0.5], [-0.1, 0.7, 0.1]])


def slope() -> torch.Tensor:
    """The gradient of the worked step."""
    images = cross_entropy_slope(START, IMAGES, LABELS, SCALE)
    return (images + cross_entropy_slope(START, TEXTS, torch.tensor([0, 1]), SCALE)) / 2


def test_the_gradient_at_the_start_is_the_worked_one() -> None:
    expected = torch.tensor([-0.119531, 0.043753, -0.103140])
    assert torch.allclose(slope()[0], torch.stack([expected, -expected]), atol=1e-5)


def test_a_step_is_that_of_adamw() -> None:
    weight, one = START.clone(), torch.ones(1, 1, 1)
    adamw_step(weight, (torch.zeros_like(weight), torch.zeros_like(weight)), slope(), 1e-3 * one, 0.01 * one, 1)
    expected = torch.tensor([[1.000990, -0.001, 0.001], [0.598994, 0.800992, -0.001]])
    assert torch.allclose(weight[0], expected, atol=1e-6)


def test_many_steps_are_those_of_adamw_in_pytorch() -> None:
    weight, one = START.clone(), torch.ones(1, 1, 1)
    moments = (torch.zeros_like(weight), torch.zeros_like(weight))
    known = torch.nn.Parameter(START.clone())
    optimizer = torch.optim.AdamW([known], lr=0.01, weight_decay=0.1)
    for step in range(1, 20):
        known.grad = cross_entropy_slope(known.detach(), IMAGES, LABELS, SCALE)
        adamw_step(weight, moments, cross_entropy_slope(weight, IMAGES, LABELS, SCALE), 0.01 * one, 0.1 * one, step)
        optimizer.step()
    assert torch.allclose(weight, known.detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("iteration", "rate"), [(0, 1e-5), (1, 2e-5), (25, 5e-4), (50, 1e-3), (6450, 5e-4), (12799, 3.91701e-8)]
)
def test_rates_are_the_worked_ones(iteration: int, rate: float) -> None:
    assert float(rate_at(iteration, torch.tensor(1e-3), 12_800)) == pytest.approx(rate, rel=1e-4, abs=1e-10)


@pytest.mark.parametrize(("mix", "expected"), [(0.0, (6.04, 4.6)), (0.5, (5.42, 6.3))])
def test_the_sentences_can_be_mixed_in(mix: float, expected: tuple[float, float]) -> None:
    method = toy("cross_modal_probe", text_mix=mix, iterations=1, learning_rate=0)
    method.load_state_dict({"weight": WEIGHT})
    # the first step has the warm-up's rate, which moves a weight by no more than itself
    fit(method, toy_data(), seed=0)
    assert query_logits(method) == pytest.approx(expected, abs=1e-3)


def test_before_any_step_it_is_zero_shot() -> None:
    assert query_logits(toy("cross_modal_probe")) == pytest.approx([4.8, 8.0], abs=1e-4)


def test_each_sample_is_seen_once_before_any_is_seen_again() -> None:
    order = sample_order(8, 4, 6, torch.Generator().manual_seed(0))
    assert order.shape == (6, 4)
    assert all(sorted(pair.flatten().tolist()) == list(range(8)) for pair in order.view(3, 2, 4))


def test_fewer_sentences_than_half_a_batch_are_seen_with_repeats() -> None:
    order = sample_order(2, 4, 50, torch.Generator().manual_seed(0))
    assert order.shape == (50, 4)
    assert set(order.flatten().tolist()) == {0, 1}


def test_validation_images_choose_among_twelve_settings() -> None:
    method = toy("cross_modal_probe", iterations=301)
    data = toy_data(validation_features=torch.cat([QUERY, IMAGES]), validation_labels=torch.tensor([0, 0, 0, 1, 1]))
    fit(method, data, seed=0)
    trained = (method.logits(data.validation_features()).argmax(dim=-1) == data.validation_labels).sum()
    assert int(trained) >= 4
    assert method.choices(method.config)
