"""CoOp's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.descriptions.templates import template_descriptions
from core.tuning.contract import Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.presets import resolve_config
from core.tuning.registry import get_method
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data


def test_before_the_first_step_coop_is_zero_shot_with_its_template() -> None:
    images = clustered_data().train_features()
    with torch.no_grad():
        ours, known = build("coop").logits(images), build("zero_shot").logits(images)
    torch.testing.assert_close(ours, known, atol=1e-4, rtol=0)


def test_four_words_are_four_vectors_and_a_context_per_class_is_that_for_each() -> None:
    width = tiny_backbone().text_width
    assert sum(p.numel() for p in build("coop").parameters()) == 4 * width
    assert sum(p.numel() for p in build("coop", per_class=True).parameters()) == len(CLASSES) * 4 * width


def test_one_plain_step_moves_the_context_against_the_gradient_of_the_cross_entropy() -> None:
    method = get_method("coop")
    config = method.Config.from_values({"learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0})
    built = method(config, Task(tiny_backbone(), CLASSES, template_descriptions(CLASSES)))
    data = clustered_data()
    images, labels = data.train_features()[:4], data.labels[:4]
    before = built.context.vectors.detach().clone()
    texts = built.context.features()
    logits = tiny_backbone().logit_scale * images @ texts.T
    by_hand = -logits.log_softmax(-1)[torch.arange(4), labels].mean()
    (gradient,) = torch.autograd.grad(by_hand, built.context.vectors)

    built.config = method.Config.from_values(config.as_dict() | {"epochs": 1, "schedule": "constant"})
    fit(built, TensorData(labels, [[0, 1, 2, 3]], features=images), seed=0)
    torch.testing.assert_close(built.context.vectors.detach(), before - 0.1 * gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("shots", "epochs"), [(1, 50), (2, 100), (4, 100), (8, 200), (16, 200)])
def test_the_papers_epochs_follow_the_shots(shots: int, epochs: int) -> None:
    paper, _ = resolve_config(get_method("coop"), "any", variant="paper")
    assert paper.settled(images=3 * shots, classes=3).epochs == epochs


def test_a_persons_own_epochs_put_the_papers_rule_aside() -> None:
    for own in ({"epochs": 7}, {"options": {"epochs": 7}}):
        config, _ = resolve_config(get_method("coop"), "any", variant="paper", **own)
        assert config.settled(images=3, classes=3).epochs == 7
