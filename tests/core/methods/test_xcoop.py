"""XCoOp's worked numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.tuning.contract import Batch
from core.tuning.loop import fit
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build, data_for


def test_learned_are_contexts_of_each_class_and_the_norms() -> None:
    method, tower = build("xcoop"), tiny_backbone()
    norms = 2 * 2 * tower.image_width * tower.image_layers
    assert sum(p.numel() for p in method.parameters()) == 4 * len(CLASSES) * 4 * tower.text_width + norms
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


@pytest.mark.parametrize(("start", "equal"), [("same", True), ("jitter", False)])
def test_prompts_that_start_equal_stay_equal(start: str, equal: bool) -> None:
    method = build("xcoop", copy_start=start, prompts=3, epochs=2, warmup_epochs=0, learning_rate=0.05)
    before = method.context.vectors.detach().clone()
    fit(method, data_for(method), seed=0)
    first, *others = method.context.vectors.detach()
    assert not torch.equal(first, before[0])
    assert all(torch.allclose(first, other, atol=1e-5) for other in others) is equal


def test_patches_of_an_image_meet_its_own_score_only() -> None:
    method, tower = build("xcoop", local_weight=0.5), tiny_backbone()
    with torch.no_grad():
        hidden = tower.image_tokens(pixels())
        whole = functional.normalize(tower.project_image(hidden[:, 0]), dim=-1)
        local = functional.normalize(tower.project_image(hidden[:, 1:]), dim=-1)
        texts = functional.normalize(method.context.raw_features(), dim=-1)
        pairs = (
            torch.einsum("bd,ncd->bc", whole, texts)
            + 0.5 * torch.einsum("btd,ncd->bc", local, texts) / (local.shape[1])
        )
        found = method.logits(method.encode_images(pixels()))
        torch.testing.assert_close(found, tower.logit_scale * pairs / len(texts), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(method.encode_images(pixels()[:1]), method.encode_images(pixels())[:1])


@pytest.mark.parametrize(("towers", "mean"), [("timm-bert", True), ("clip-causal", False)])
def test_agreement_of_tokens_at_the_start_is_that_of_the_two_sentences(towers: str, mean: bool) -> None:
    method, tower = build("xcoop", CLASSES, towers), tiny_backbone(towers)
    plain = [f"a photo of a {name}." for name in CLASSES]
    clinical = [method.task.descriptions.sentences[name][0] for name in CLASSES]
    tokens = tower.tokenize([*plain, *clinical])
    rows = functional.normalize(tower.embed_tokens(tokens.ids), dim=-1)
    for i in range(3):
        for j in range(3):
            cosines = (rows[i] * rows[3 + j]).sum(dim=-1)
            real = tokens.mask[i] | tokens.mask[3 + j]
            expected = float(cosines[real].mean() if mean else cosines.sum())
            assert float(method.token_agreement()[i, j].detach()) == pytest.approx(expected, abs=1e-4)


def test_without_text_terms_patches_and_norms_one_prompt_is_coop_with_a_context_of_each_class() -> None:
    same = {"learning_rate": 0.05, "warmup_epochs": 0}
    off = {"prompts": 1, "prompt_weight": 0, "token_weight": 0, "local_weight": 0, "norms_rate": 0}
    one = build("xcoop", largest_gradient=0, noise=False, **off, **same)
    other = build("coop", per_class=True, **same)
    for method in (one, other):
        fit(method, data_for(method), seed=0)
    torch.testing.assert_close(one.context.vectors[0], other.context.vectors)
