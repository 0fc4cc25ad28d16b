"""Learned words: start values, positions, and what they must not overwrite."""

from __future__ import annotations

import pytest
import torch

from core.errors import InvalidOption
from core.tuning.text_context import TextContext
from tests.builders import TOWERS, tiny_backbone
from tests.core.tuning.test_every_method import build, unit_vectors

CLASSES = ("glioma tumor", "normal brain")


@pytest.mark.parametrize("towers", ["timm-bert", "clip-causal"])
def test_before_the_first_step_prompts_equal_the_plain_sentences(towers: str) -> None:
    backbone = tiny_backbone(towers)
    context = TextContext(backbone, CLASSES, "a photo of a {}.")
    plain = backbone.encode_texts([f"a photo of a {name}." for name in CLASSES])
    expected = torch.nn.functional.normalize(plain, dim=-1)
    torch.testing.assert_close(context.features().detach(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("template", ["a photo of a {}.", "an X-ray of {}, seen from the front."])
@pytest.mark.parametrize("towers", TOWERS)
@pytest.mark.parametrize("name", ["coop", "kgcoop", "prograd", "biomedcoop"])
def test_a_method_that_learns_words_alone_begins_at_zero_shot(name: str, towers: str, template: str) -> None:
    images = unit_vectors(24, tiny_backbone(towers).joint_width)
    method = build(name, towers=towers, template=template).eval()
    with torch.no_grad():
        plain = build("zero_shot", towers=towers, template=template).logits(images)
        start = method.logits(images)
        method.context.vectors.mul_(-1)
        later = method.logits(images)
    tolerance = 1e-5 * tiny_backbone(towers).logit_scale
    torch.testing.assert_close(start, plain, atol=tolerance, rtol=0)
    assert float((later - plain).abs().max()) > 100 * tolerance


def test_the_class_name_can_stand_in_front_in_the_middle_or_torn() -> None:
    backbone = tiny_backbone()
    tokens = backbone.tokenize(["a photo of a glioma tumor."])
    words = backbone.embed_tokens(tokens.ids)[0]
    name = len(backbone.tokenize(["glioma tumor"]).ids[0]) - 2

    def layout(position: str) -> torch.Tensor:
        return TextContext(backbone, CLASSES[:1], "a photo of a {}.", position=position).prompts()[0][0].detach()

    start, context, inside, rest = words[:1], words[1:5], words[5 : 5 + name], words[5 + name :]
    assert torch.equal(layout("front"), torch.cat([start, inside, context, rest]))
    assert torch.equal(layout("middle"), torch.cat([start, context[:2], inside, context[2:], rest]))
    torn = torch.cat([start, context[:2], inside[:1], context[2:], inside[1:], rest])
    assert torch.equal(layout("middle_ref"), torn)


def test_more_tokens_than_the_words_give_are_refused() -> None:
    with pytest.raises(InvalidOption, match="The words 'a photo of a' give 4 tokens to learn; context_length is 5"):
        TextContext(tiny_backbone(), CLASSES, "a photo of a {}.", n=5)


def test_of_words_that_split_the_learned_part_is_said() -> None:
    backbone = tiny_backbone()
    known = len(backbone.tokenize(["an X-ray of"]).ids[0]) - 2
    context = TextContext(backbone, CLASSES, "an X-ray of {}.")
    assert known > 3
    assert context.split == f"Learned are the first 3 of the {known} tokens of 'an X-ray of'; the others stay fixed."
    assert TextContext(backbone, CLASSES, "a photo of a {}.").split == ""


def test_a_random_start_has_the_published_spread_and_its_own_length() -> None:
    context = TextContext(
        tiny_backbone(), CLASSES, "a photo of a {}.", n=16, random=True, generator=torch.Generator().manual_seed(0)
    )
    assert context.vectors.shape == (16, tiny_backbone().text_width)
    assert float(context.vectors.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_contexts_by_image_give_a_prompt_for_every_image_and_class() -> None:
    context = TextContext(tiny_backbone(), CLASSES, "a photo of a {}.")
    shift = torch.zeros(3, 1, 1, tiny_backbone().text_width)
    # an equal shift of all numbers would be taken out by the norm that follows
    shift[2] = torch.randn(tiny_backbone().text_width, generator=torch.Generator().manual_seed(0))
    found = context.features(context.vectors + shift)
    assert found.shape == (3, 2, tiny_backbone().joint_width)
    torch.testing.assert_close(found[0], context.features(), atol=1e-6, rtol=0)
    assert not torch.allclose(found[0], found[2], atol=1e-3)
