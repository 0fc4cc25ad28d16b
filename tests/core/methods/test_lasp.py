"""LASP's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.tuning.contract import Batch
from core.tuning.loop import fit, make_optimizer
from core.tuning.losses import recognition, text_to_text
from tests.builders import TOWERS, tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build, clustered_pixels, data_for, scores


@pytest.mark.parametrize(("axis", "expected"), [("learned", 0.360111), ("written", 0.347274)])
def test_the_text_to_text_term_by_hand(axis: str, expected: float) -> None:
    rows_learned_columns_written = torch.tensor([[2, 0, 1], [0.5, 1.5, 0], [0, 1, 3]])
    assert float(recognition(rows_learned_columns_written[None], axis)) == pytest.approx(expected, abs=1e-6)


def test_the_term_is_the_mean_over_sentences_and_classes_of_the_scaled_cosines() -> None:
    learned, written = torch.randn(3, 5), torch.randn(4, 3, 5)
    expected = torch.stack([recognition(7 * learned @ each.T, "learned") for each in written]).mean()
    torch.testing.assert_close(text_to_text(learned, written, 7.0, "learned"), expected)


@pytest.mark.parametrize("towers", TOWERS)
def test_before_the_first_step_the_scores_are_those_of_the_plain_sentence(towers: str) -> None:
    method, tower = build("lasp", CLASSES, towers), tiny_backbone(towers)
    with torch.no_grad():
        images = torch.nn.functional.normalize(tower.encode_images(pixels()), dim=-1)
        plain = tower.logit_scale * images @ method.task.template_features("a photo of a {}.").T
        torch.testing.assert_close(method.logits(method.encode_images(pixels())), plain, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("towers", TOWERS)
def test_words_shift_and_both_norms_of_each_block_are_learned(towers: str) -> None:
    method, tower = build("lasp", CLASSES, towers), tiny_backbone(towers)
    norms = 2 * 2 * tower.image_width * tower.image_layers
    assert sum(p.numel() for p in method.norms.parameters()) == norms
    assert sum(p.numel() for p in method.parameters()) == 4 * tower.text_width + tower.joint_width + norms
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())
    length = torch.stack([p.grad.norm() for p in method.parameters()]).norm()
    assert float(length) <= 1 + 1e-4


def test_the_copies_of_the_norms_share_everything_else_and_leave_the_backbone() -> None:
    method = build("lasp", learning_rate=0.5, warmup_epochs=0)
    fit(method, data_for(method), seed=0)
    for ours, theirs in zip(method.backbone.image_blocks(), method.task.backbone.image_blocks(), strict=True):
        assert ours.mlp.fc1.weight is theirs.mlp.fc1.weight
        assert not torch.equal(ours.norm1.weight, theirs.norm1.weight)
        assert not theirs.norm1.weight.requires_grad


def test_in_the_short_type_the_norms_are_trained_as_well() -> None:
    method = build("lasp")
    method._tuned[0].precision = "bf16"
    with method.step_passes():
        method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.norms.parameters())


def test_the_norms_take_a_tenth_of_the_steps() -> None:
    method = build("lasp")
    assert [group["multiplier"] for group in make_optimizer(method, method.config).param_groups] == [1.0, 0.1]


def test_noise_falls_on_half_of_the_steps_and_can_be_left_out() -> None:
    method = build("lasp")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [method._noisy() - method._written for _ in range(200)]
    noisy = [noise for noise in drawn if bool(noise.any())]
    assert 80 < len(noisy) < 120
    assert float(torch.stack(noisy).std()) == pytest.approx(0.05, abs=0.001)
    assert build("lasp", noise=False)._noisy() is not None
    assert torch.equal(build("lasp", noise=False)._noisy(), method._written)


def test_without_norms_shift_and_text_term_it_is_coop() -> None:
    same = {"learning_rate": 0.05, "warmup_epochs": 0}
    lasp = build("lasp", norms_rate=0, text_weight=0, largest_gradient=0, noise=False, **same)
    lasp.shift.requires_grad_(False)
    coop = build("coop", **same)
    for method in (lasp, coop):
        fit(method, data_for(method), seed=0)
    torch.testing.assert_close(scores(lasp), scores(coop))


def test_a_trained_tower_answers_with_its_own_norms() -> None:
    method = build("lasp", learning_rate=0.5, warmup_epochs=0)
    before = method.encode_images(clustered_pixels()).detach()
    fit(method, data_for(method), seed=0)
    assert not torch.allclose(method.encode_images(clustered_pixels()).detach(), before, atol=1e-3)
