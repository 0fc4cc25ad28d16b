"""RPO's worked numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.tuning.contract import Batch
from tests.builders import TOWERS, tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build


@pytest.mark.parametrize("towers", TOWERS)
def test_the_towers_are_read_and_stay_as_they_are(towers: str) -> None:
    method, tower = build("rpo", CLASSES, towers, tokens=3), tiny_backbone(towers)
    with torch.no_grad():
        tokens, seen = method._behind(method.image_tokens, method._image_length)
        hidden = tower.image_tokens(pixels(), tokens, attention_mask=seen)
        torch.testing.assert_close(hidden[:, :-3], tower.image_tokens(pixels()), atol=1e-5, rtol=1e-4)
        length = method._embeds.shape[1]
        tokens, seen = method._behind(method.text_tokens, length)
        hidden = tower.text_tokens(method._embeds, method._mask, tokens, attention_mask=seen)
        plain = tower.text_tokens(method._embeds, method._mask)
        torch.testing.assert_close(hidden[:, :length][method._mask], plain[method._mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("towers", TOWERS)
def test_a_score_is_the_mean_of_the_pairs_cosines(towers: str) -> None:
    method, tower = build("rpo", CLASSES, towers, tokens=3), tiny_backbone(towers)
    with torch.no_grad():
        images, texts = method.encode_images(pixels()), method.class_features()
        found = method.logits(images)
    parts = (functional.normalize(each.unflatten(1, (3, -1)), dim=-1) for each in (images, texts))
    expected = torch.einsum("bkd,ckd->bck", *parts).mean(dim=-1) * tower.logit_scale
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(images.norm(dim=-1), torch.ones(2))


def test_tokens_know_nothing_of_each_other_and_their_order_has_no_say() -> None:
    method = build("rpo", tokens=3)
    with torch.no_grad():
        before, alone = (
            method.logits(method.encode_images(pixels())),
            method.encode_images(pixels()).unflatten(1, (3, -1)),
        )
        order = torch.tensor([2, 0, 1])
        for tokens in (method.image_tokens, method.text_tokens):
            tokens.copy_(tokens[order].clone())
        moved = method.encode_images(pixels()).unflatten(1, (3, -1))
        torch.testing.assert_close(moved, alone[:, order], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(method.logits(method.encode_images(pixels())), before, atol=1e-3, rtol=1e-4)


def test_tokens_without_noise_are_all_one() -> None:
    method = build("rpo", tokens=3)
    with torch.no_grad():
        method.image_tokens.copy_(method.image_tokens[:1].expand_as(method.image_tokens).clone())
        first, *others = method.encode_images(pixels()).unflatten(1, (3, -1)).unbind(dim=1)
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("towers", ["timm-bert", "clip-causal"])
def test_noise_around_the_start_has_the_published_length(towers: str) -> None:
    method = build("rpo", CLASSES, towers, tokens=64)
    spread = (method.image_tokens - method.image_tokens.mean(dim=0)).norm(dim=-1)
    assert float(spread.mean().detach()) == pytest.approx(0.1, abs=0.005)
    start = method._text_start()
    steps = (method.text_tokens - start).norm(dim=-1).detach()
    expected = 0.25 * float(start.norm()) if towers == "timm-bert" else 0.1
    torch.testing.assert_close(steps, torch.full_like(steps, expected), rtol=1e-3, atol=1e-5)


def test_published_widths_give_the_published_sizes() -> None:
    tower = tiny_backbone()
    assert sum(p.numel() for p in build("rpo").parameters()) == 24 * (tower.text_width + tower.image_width)
    assert 24 * (512 + 768) == 30_720


def test_both_kinds_of_tokens_get_a_gradient() -> None:
    method = build("rpo", tokens=3)
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())
