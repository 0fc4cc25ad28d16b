"""BiomedAP's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.errors import InvalidOption
from core.methods.biomedap import Fusion
from core.tuning.contract import Batch
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
