"""IVLP's worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.descriptions.templates import template_descriptions
from core.errors import InvalidOption
from core.tuning.contract import Batch, Method, Task
from core.tuning.loop import fit
from core.tuning.registry import get_method
from tests.builders import TOWERS, tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build, data_for, scores


class PublishedTower:
    """The tiny backbone with causal texts, saying that it has the sizes of CLIP ViT-B/16."""

    text_width, image_width, text_layers, image_layers = 512, 768, 12, 12

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, self.text_width)

    def __getattr__(self, name: str) -> Any:
        return getattr(tiny_backbone("timm-causal"), name)


@pytest.mark.parametrize(("variant", "expected"), [("default", 46_080), ("paper", 30_720)])
def test_the_published_sizes_follow_from_the_widths(variant: str, expected: int) -> None:
    kind = get_method("ivlp")
    config = kind.Config(**kind.variants.get(variant, {}))
    method = kind(config, Task(PublishedTower(), CLASSES, template_descriptions(CLASSES)))
    assert sum(p.numel() for p in method.parameters()) == expected


def test_words_and_vectors_of_every_layer_get_a_gradient() -> None:
    method, tower = build("ivlp", text_share=1.0, visual_share=1.0), tiny_backbone()
    assert (len(method.deep), len(method.visual.vectors)) == (tower.text_layers - 1, tower.image_layers)
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def fitted(name: str, **options: Any) -> Method:
    method = build(name, learning_rate=0.05, warmup_epochs=0, **options)
    fit(method, data_for(method), seed=0)
    return method


def test_words_in_the_first_layer_alone_are_coop() -> None:
    one = fitted("ivlp", text_share=0.01, visual_share=0.0)
    torch.testing.assert_close(scores(one), scores(fitted("coop")))


def test_vectors_in_the_image_tower_alone_leave_the_plain_sentences() -> None:
    method = fitted("ivlp", text_share=0.0)
    assert {name.split(".")[0] for name, _ in method.named_parameters()} == {"visual"}
    torch.testing.assert_close(method.class_features(), method.task.template_features("a photo of a {}."))


@pytest.mark.parametrize("towers", TOWERS)
def test_deep_words_that_are_there_already_change_nothing(towers: str) -> None:
    method = build("ivlp", ("bright disc",), towers, text_share=1.0, visual_share=0.0, deep_start="words")
    plain = method.task.template_features("a photo of a {}.")
    torch.testing.assert_close(method.class_features().detach(), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("towers", "expected"), [("timm-bert", "words"), ("clip-causal", "random")])
def test_deep_words_start_as_their_tower_hears_them(towers: str, expected: str) -> None:
    found, known = (build("ivlp", CLASSES, towers, deep_start=start) for start in ("auto", expected))
    assert torch.equal(torch.stack(list(found.deep)), torch.stack(list(known.deep)))


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(InvalidOption, match="'text_share' and 'visual_share' are both 0"):
        build("ivlp", text_share=0.0, visual_share=0.0)
