"""BiomedAP's worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.errors import InvalidOption
from core.tuning.contract import Batch
from core.tuning.fusion import Fusion
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build


def test_fused_zero_vectors_are_equal_to_each_other() -> None:
    fusion = Fusion(32, 32).eval()
    words = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    vectors, _ = fusion(torch.zeros(2, 4, 32), words, False)
    torch.testing.assert_close(vectors, vectors[:, :1].expand_as(vectors))


def test_the_published_size_of_a_fusion_follows_from_its_width() -> None:
    assert sum(p.numel() for p in Fusion(768, 768).parameters()) == 15_353_856


def test_words_of_another_width_are_mapped_in_and_out() -> None:
    vectors, words = Fusion(64, 32)(torch.zeros(1, 4, 64), torch.ones(1, 3, 32), False)
    assert (vectors.shape, words.shape) == ((1, 4, 64), (1, 3, 32))


def test_a_prediction_uses_the_mean_context_and_no_label() -> None:
    method = build("biomedap", text_dropout=False, fusion_dropout=False)
    with torch.no_grad():
        images = pixels()
        together = method.encode_images(images)
        torch.testing.assert_close(together[:1], method.encode_images(images[:1]), atol=1e-5, rtol=0)


def test_all_five_terms_reach_what_is_learned() -> None:
    method = build("biomedap", text_dropout=False, fusion_dropout=False)
    terms = method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels()))
    assert list(terms) == ["cross_entropy", "anchor", "distillation", "plain", "alignment"]
    method.backward(terms)
    assert all(p.grad is not None for p in method.parameters())


def test_layers_the_tower_does_not_have_are_refused() -> None:
    with pytest.raises(InvalidOption, match=f"from 0 to {tiny_backbone().image_layers - 1}; found '99'"):
        build("biomedap", fusion_layers="99")


def fused_vectors(**options: Any) -> torch.Tensor:
    """The visual vectors (images, vectors, width) right behind the first fusion, before the next layer reads them."""
    method = build("biomedap", fusion_layers="1", text_dropout=False, fusion_dropout=False, **options)
    found = []
    method.fusion_modules["1"].register_forward_hook(lambda module, given, out: found.append(out[0].detach()))
    with torch.no_grad():
        method.encode_images(pixels())
    return found[0]


def test_learned_vectors_are_not_all_fused_to_the_same() -> None:
    zeros, learned = fused_vectors(), fused_vectors(visual_start="learned")
    torch.testing.assert_close(zeros, zeros[:1, :1].expand_as(zeros))
    assert float((learned - learned[:, :1]).abs().max()) > 1e-3


def entering(layer: int, **options: Any) -> torch.Tensor:
    """The visual vectors that enter a layer of the image tower."""
    method = build("biomedap", fusion_layers="1", text_dropout=False, fusion_dropout=False, **options)
    found = []

    def keep(at: int, hidden: torch.Tensor) -> torch.Tensor:
        if at == layer:
            found.append(hidden[:, 1:5].detach())
        return hidden

    tower = tiny_backbone()
    with torch.no_grad():
        tower.encode_images(pixels(), method.visual_tokens(), keep)
    return found[0]


def test_carried_vectors_live_on_behind_the_first_fusion() -> None:
    assert float(entering(1).abs().max()) == 0
    assert float(entering(1, carry_fused=True).abs().max()) == 0
    assert float(entering(2).abs().max()) == 0
    assert float(entering(2, carry_fused=True).abs().max()) > 0
    both = [build("biomedap", fusion_layers="1", carry_fused=carry) for carry in (False, True)]
    with torch.no_grad():
        plain, carried = (method.encode_images(pixels()) for method in both)
    assert float((plain - carried).abs().max()) > 1e-4


def test_a_detached_teacher_sends_no_gradient_to_the_fusion() -> None:
    gradients = {}
    for detached in (False, True):
        method = build("biomedap", text_dropout=False, fusion_dropout=False, detach_teacher=detached)
        terms = method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels()))
        parameters = list(method.fusion_modules.parameters())
        found = torch.autograd.grad(terms["distillation"], parameters, allow_unused=True)
        gradients[detached] = torch.cat([g.flatten() for g in found if g is not None])
    # the student's scores depend on the image too, so the gradient changes and does not vanish
    assert float((gradients[True] - gradients[False]).abs().max()) > 1e-6
