"""DPT's worked numbers."""

from __future__ import annotations

import torch

from core.tuning.contract import Batch
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build


def test_words_and_vectors_are_learned_side_by_side() -> None:
    method, tower = build("dpt"), tiny_backbone()
    assert sum(p.numel() for p in method.parameters()) == 4 * tower.text_width + 4 * tower.image_width
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_with_the_same_vectors_it_scores_like_vpt_before_the_first_step() -> None:
    dpt, vpt = build("dpt", text_dropout=False), build("vpt")
    with torch.no_grad():
        dpt.visual.vectors[0].copy_(vpt.visual.vectors[0])
        ours, known = (m.logits(m.encode_images(pixels())) for m in (dpt, vpt))
    torch.testing.assert_close(ours, known, atol=1e-4, rtol=0)
