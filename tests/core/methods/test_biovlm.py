"""BioVLM's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.methods.biovlm import entropy_of_mean, surest
from core.tuning.contract import Batch
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data


def batch() -> Batch:
    data = clustered_data()
    images = data.train_features()
    return Batch(data.labels, features=images, views={"strong": images, "weak": images})


def test_each_image_keeps_the_surer_half_of_the_prompts() -> None:
    unsure, sure = [0.0, 0.0], [5.0, 0.0]
    scores = torch.tensor([[unsure, sure], [sure, unsure], [unsure, unsure], [[4.0, 0.0], [0.0, 4.0]]])
    assert surest(scores).tolist() == [[sure, sure], [[4.0, 0.0], [0.0, 4.0]]]


def test_the_entropy_is_that_of_the_mean_distribution() -> None:
    certain = torch.tensor([[[100.0, 0.0]], [[0.0, 100.0]]])
    assert float(entropy_of_mean(certain)) == pytest.approx(math.log(2), abs=1e-6)
    assert float(entropy_of_mean(certain[:1])) == pytest.approx(0, abs=1e-6)


def test_the_bank_is_what_is_learned() -> None:
    shapes = [tuple(p.shape) for p in build("biovlm").parameters()]
    assert shapes == [(10, 1, 4, tiny_backbone().text_width)]


def test_the_entropy_term_reaches_the_prompts() -> None:
    method = build("biovlm")
    (gradient,) = torch.autograd.grad(method.loss_terms(batch())["entropy"], method.context.vectors)
    assert float(gradient.abs().sum()) > 0


def test_the_distillation_is_divided_by_images_prompts_and_classes() -> None:
    method = build("biovlm", similarity_weight=0.0)
    images = batch().features
    with torch.no_grad():
        term = method.loss_terms(batch())["distillation"]
        final = method.logits(images).log_softmax(-1)
        plain = method._scores(images, method._attributes)
        total = 0.0
        for bank in (plain, torch.cat([plain, plain])):
            teacher = surest(bank).mean(dim=0).log_softmax(-1)
            total += float((teacher.exp() * (teacher - final)).sum()) / (12 * 10 * 3)
    assert float(term) == pytest.approx(total, rel=1e-4)
