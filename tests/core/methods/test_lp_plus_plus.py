"""LP++'s worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.methods.lp_plus_plus import blended
from core.tuning.loop import fit
from tests.builders import tiny_backbone
from tests.core.methods.toy import IMAGES, LABELS, QUERY, TEXTS, toy, toy_data
from tests.core.tuning.test_every_method import build, clustered_data, unit_vectors


def test_scores_are_linear_plus_blended_cosines() -> None:
    images, texts = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weight, bias, alpha = torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.tensor([0.1, 0.2]), torch.tensor([10.0, 20.0])
    assert blended(images, texts, weight, bias, alpha)[0].tolist() == pytest.approx([1.5 + 6.0, 1.4 + 16.0])


def test_without_a_linear_part_it_ranks_like_zero_shot() -> None:
    method, images = build("lp_plus_plus"), unit_vectors(200, tiny_backbone().joint_width)
    fit(method, clustered_data(), seed=0)
    plain = build("zero_shot").logits(images)
    assert not torch.equal(method.logits(images).argsort(-1), plain.argsort(-1))
    method.weight.zero_()
    method.bias.zero_()
    method.alpha.fill_(3.0)
    found = method.logits(images)
    assert torch.equal(found.argsort(-1), plain.argsort(-1))
    torch.testing.assert_close(found, 3 / tiny_backbone().logit_scale * plain, atol=1e-5, rtol=0)


def test_the_first_step_has_the_rate_that_follows_from_the_features() -> None:
    data = clustered_data()
    images, labels = data.train_features(), data.labels
    method = build("lp_plus_plus", iterations=1)
    start = method.bias.clone()
    weight, alpha = method._start(images, labels)
    probabilities = blended(images, method._classes, weight, start, alpha).softmax(-1)
    residual = (probabilities - torch.eye(3)[labels]) / len(images)
    rate = 4 * len(images) / torch.linalg.svdvals(images)[0] ** 2
    fit(method, data, seed=0)
    torch.testing.assert_close(method.weight, weight - rate * residual.T @ images, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(method.bias, start - rate * residual.sum(dim=0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(method.alpha, alpha)


def test_training_images_are_fitted() -> None:
    method, data = build("lp_plus_plus"), clustered_data()
    fit(method, data, seed=0)
    assert float((method.logits(data.train_features()).argmax(-1) == data.labels).float().mean()) == 1.0


def test_rates_of_the_text_informed_probe_are_the_worked_ones() -> None:
    spectral, by_shots = toy("lp_plus_plus"), toy("lp_plus_plus", weight_rate="log_shots", rate_factor=5)
    assert spectral._weight_rate(IMAGES) == pytest.approx(5.429638, abs=1e-5)
    assert by_shots._weight_rate(IMAGES) == pytest.approx(5.493061, abs=1e-5)


def test_its_start_is_the_worked_one() -> None:
    method = toy("lp_plus_plus")
    weight, alpha = method._start(IMAGES, LABELS)
    found = blended(QUERY, TEXTS, weight, torch.zeros(2), alpha)
    assert found[0].tolist() == pytest.approx([77.112, 127.736], abs=0.02)  # weights are rounded to half precision


def test_rare_classes_can_count_as_much_when_a_step_is_chosen() -> None:
    data = toy_data(validation_features=IMAGES[[0, 1, 2]], validation_labels=torch.tensor([0, 0, 1]))
    always_first = lambda images: torch.tensor([[1.0, 0.0]]).expand(len(images), -1)  # noqa: E731
    assert data.validation_hits(always_first) == 2
    assert data.validation_recall(always_first) == pytest.approx(0.5)
