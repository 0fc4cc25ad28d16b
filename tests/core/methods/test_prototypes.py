"""Worked numbers of the methods that train one vector a class: ZS-LP, CLAP, TaskRes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.tuning.contract import Batch
from core.tuning.loop import fit
from core.tuning.prototypes import Prototypes
from tests.core.methods.toy import IMAGES, LABELS, TEXTS, query_logits, toy, toy_data

PUBLISHED = {"schedule": "cosine", "warmup_epochs": 1}
GRADIENT = torch.tensor([[0, 0.015561, -0.206281], [0.137447, -0.103086, 0.206281]])
"""Of the cross-entropy at the start, for vectors of unit length."""
BATCH = Batch(LABELS, features=IMAGES)


@pytest.mark.parametrize("name", ["zs_lp", "clap", "taskres"])
def test_before_the_first_step_it_is_zero_shot(name: str) -> None:
    assert query_logits(toy(name)) == pytest.approx([4.8, 8.0], abs=1e-4)


def test_the_gradient_at_the_start_is_the_worked_one() -> None:
    method = toy("zs_lp", text_norm=1)
    loss = method.loss_terms(BATCH)["cross_entropy"]
    assert float(loss.detach()) == pytest.approx(0.0341614, abs=1e-6)
    loss.backward()
    assert isinstance(method, Prototypes)
    assert torch.allclose(method.learned.grad, GRADIENT, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "query", "loss"), [("zs_lp", (1.931564, 5.258248), 0.000345), ("clap", (4.94464, 7.664507), 0.014203)]
)
def test_after_300_steps_scores_are_the_worked_ones(name: str, query: tuple[float, float], loss: float) -> None:
    method = toy(name, text_norm=1, **PUBLISHED)
    fit(method, toy_data(), seed=0)
    assert query_logits(method) == pytest.approx(query, abs=1e-4)
    assert float(method.loss_terms(BATCH)["cross_entropy"]) == pytest.approx(loss, abs=1e-6)


def test_clap_holds_a_class_by_how_sure_its_sentence_is() -> None:
    method = toy("clap", text_norm=1)
    method.prepare(toy_data())
    assert method.strength.tolist() == pytest.approx([0.938831, 0.995089], abs=1e-5)
    method.load_state_dict(
        {"learned": TEXTS - 0.1 * torch.tensor([[0, 0.015561, -0.206281], [0.137447, -0.103086, 0.206281]])}
    )
    terms = method.loss_terms(BATCH)
    assert float(terms["cross_entropy"]) == pytest.approx(0.0247500, abs=1e-6)
    assert float(terms["distance"]) == pytest.approx(0.000559462, abs=1e-7)


def test_a_class_without_images_is_held_as_the_others_are() -> None:
    method = toy("clap")
    method.prepare(toy_data(2))
    assert method.strength.tolist() == pytest.approx([0.938831, 0.938831], abs=1e-5)


def test_clap_without_its_penalty_is_zs_lp() -> None:
    held, free = toy("clap", penalty="off"), toy("zs_lp")
    for method in (held, free):
        fit(method, toy_data(), seed=0)
    assert query_logits(held) == query_logits(free)


def test_a_longer_start_is_a_smaller_rate() -> None:
    long, short = toy("zs_lp", epochs=50, text_norm=10), toy("zs_lp", epochs=50, text_norm=1, learning_rate=0.001)
    for method in (long, short):
        fit(method, toy_data(), seed=0)
    assert query_logits(long) == pytest.approx(query_logits(short), abs=1e-4)


def test_the_towers_own_lengths_are_taken_where_none_is_given() -> None:
    method = toy("zs_lp", text_norm=None)
    assert torch.allclose(method.start, 3 * TEXTS)


def test_taskres_adds_a_share_of_what_it_learns() -> None:
    method = toy("taskres", text_norm=1)
    method.load_state_dict({"learned": torch.tensor([[0.2, 0, 0.4], [0, 0, -0.2]])})
    assert query_logits(method) == pytest.approx([5.795888, 7.363275], abs=1e-4)
    assert float(functional.cross_entropy(method.logits(IMAGES), LABELS)) == pytest.approx(0.0258351, abs=1e-6)


def test_taskres_trains_half_as_long_on_few_images() -> None:
    config = toy("taskres").config
    assert (config.settled(8, 2).epochs, config.settled(16, 2).epochs) == (100, 200)
