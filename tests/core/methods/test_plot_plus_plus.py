"""PLOT++'s worked numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.errors import InvalidOption
from core.methods.plot_plus_plus import openings
from core.tuning.contract import Batch
from core.tuning.loop import fit
from core.tuning.registry import get_method
from tests.core.methods.test_vpt import pixels
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import build, data_for


@pytest.mark.parametrize(("text_width", "expected"), [(512, 14_336), (768, 18_432)])
def test_the_published_widths_give_the_published_size(text_width: int, expected: int) -> None:
    kind = get_method("plot_plus_plus")
    method = kind(kind.Config(), wide_task(text_width=text_width, image_width=768))
    assert sum(p.numel() for p in method.parameters()) == expected


def test_one_set_on_both_sides_is_scored_by_its_cosine() -> None:
    method = build("plot_plus_plus", phrases="a photo of a", visual_sets=1)
    with torch.no_grad():
        features = method.encode_images(pixels())
        found = method.logits(features)
        expected = functional.normalize(features[:, 0], dim=-1) @ method.class_features().T
    torch.testing.assert_close(found, method.backbone.logit_scale * expected, atol=1e-3, rtol=0)


def test_the_first_stage_leaves_the_words_alone_and_adds_the_global_term() -> None:
    method = build("plot_plus_plus", epochs=2)
    with torch.no_grad():
        features = method.encode_images(pixels())
        joint = method.logits(features)
        method.before_epoch(0)
        first = method.logits(features)
        pooled, named = (
            functional.normalize(x, dim=-1) for x in (features.mean(dim=1), method.contexts.raw_features().mean(dim=0))
        )
    torch.testing.assert_close(first - joint, method.backbone.logit_scale * pooled @ named.T, atol=1e-4, rtol=0)
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(p.grad is None for p in method.contexts.parameters())
    assert all(float(p.grad.abs().sum()) > 0 for p in method.visual.parameters())
    method.before_epoch(1)
    assert all(p.requires_grad for p in method.contexts.parameters())


def test_the_rate_starts_anew_in_the_second_stage() -> None:
    method, rates = build("plot_plus_plus", epochs=6), []
    fit(method, data_for(method), seed=0, report=lambda progress: rates.append(progress.learning_rate))
    assert rates[:3] == rates[3:]
    assert rates[0] < rates[1] > rates[2]


def test_phrases_are_the_template_with_another_first_word() -> None:
    config = get_method("plot_plus_plus").Config(template="a photo of a {}.")
    assert openings(config) == ["a photo of a", "the photo of a", "this photo of a", "one photo of a"]


def test_phrases_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidOption, match="equally many tokens; found 'a photo of a' 4, 'a picture' 2"):
        build("plot_plus_plus", phrases="a photo of a | a picture")
