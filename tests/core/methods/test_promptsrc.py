"""PromptSRC's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.descriptions.templates import template_ensemble
from core.tuning.averaging import gaussian_weights
from core.tuning.contract import Batch
from core.tuning.loop import fit
from core.tuning.losses import divergence
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data, data_for


@pytest.mark.parametrize(
    ("epochs", "mean", "std", "expected"),
    [
        (20, 15, 1, {12: 0.004432, 13: 0.053991, 14: 0.241971, 15: 0.398942, 16: 0.241971, 18: 0.004432}),
        (50, 30, 30, {1: 0.014124, 30: 0.022535, 50: 0.018045}),
        (50, 45, 5, {45: 0.092269, 50: 0.055964}),
        (100, 60, 60, {1: 0.006955, 60: 0.011279, 100: 0.009032}),
    ],
)
def test_averaging_weights_are_the_published_ones(
    epochs: int, mean: float, std: float, expected: dict[int, float]
) -> None:
    weights = gaussian_weights(epochs, mean, std)
    assert float(weights.sum()) == pytest.approx(1)
    for epoch, weight in expected.items():
        assert float(weights[epoch - 1]) == pytest.approx(weight, abs=1e-6)


def test_the_weights_of_a_run_keep_their_shape_at_other_lengths() -> None:
    torch.testing.assert_close(build("promptsrc", epochs=100).epoch_weights(), gaussian_weights(100, 60, 60))
    assert build("promptsrc", gpa=False).epoch_weights() is None


def test_the_divergence_of_scores_by_hand() -> None:
    student, teacher = torch.tensor([[2, 1, 0], [0, 0.5, 1]]), torch.tensor([[1.0, 1, 0], [0, 0, 2]])
    assert float(divergence(student, teacher)) == pytest.approx(0.0496250, abs=1e-6)


def test_a_narrow_average_is_one_epoch_and_a_wide_one_the_plain_mean() -> None:
    history: list[torch.Tensor] = []

    def end(std: float) -> torch.Tensor:
        method = build("promptsrc", epochs=3, gpa_mean=2, gpa_std=std, learning_rate=0.05, warmup_epochs=0)
        history.clear()
        after = method.after_epoch
        method.after_epoch = lambda epoch: (after(epoch), history.append(method.context.vectors.detach().clone()))
        fit(method, data_for(method), seed=0)
        return method.context.vectors.detach()

    torch.testing.assert_close(end(0.01), history[1])
    torch.testing.assert_close(end(1e6), torch.stack(history).mean(dim=0))
    assert not torch.equal(history[0], history[1])


def test_without_vectors_in_the_image_tower_only_the_texts_differ() -> None:
    method, data = build("promptsrc", visual_share=0.0), clustered_data()
    with torch.no_grad():
        terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
        texts = method.class_features()
    assert float(terms["image"]) == 0
    raw = torch.stack([tiny_backbone().encode_texts([t.format(name) for name in CLASSES]) for t in template_ensemble()])
    teacher = torch.nn.functional.normalize(raw.mean(dim=0), dim=-1)
    assert float(terms["text"]) == pytest.approx(25 * float((texts - teacher).abs().mean()), rel=1e-4)


def test_the_image_term_compares_with_the_untouched_tower_on_the_same_pixels() -> None:
    method, tower = build("promptsrc"), tiny_backbone()
    with torch.no_grad():
        terms = method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels()))
        plain = torch.nn.functional.normalize(tower.encode_images(pixels()), dim=-1)
        expected = 10 * (method.encode_images(pixels()) - plain).abs().mean()
    assert float(terms["image"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(expected) > 0


def test_the_plain_sides_send_no_gradient_and_all_that_is_learned_gets_one() -> None:
    method = build("promptsrc")
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_with_weights_of_zero_and_no_average_it_is_ivlp() -> None:
    off = {"text_weight": 0, "image_weight": 0, "logit_weight": 0, "gpa": False}
    one, other = build("promptsrc", **off), build("ivlp")
    for method in (one, other):
        fit(method, data_for(method), seed=0)
    for name, value in other.learned_state().items():
        torch.testing.assert_close(one.learned_state()[name], value)


def test_the_built_in_sentences_name_the_kind_of_picture_and_the_class() -> None:
    sentences = template_ensemble("retina photograph")
    assert len(set(sentences)) == 16
    assert all("retina photograph" in sentence and sentence.count("{}") == 1 for sentence in sentences)
