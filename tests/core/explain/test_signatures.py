"""Signatures fire on planted faults, stay quiet without them, and state their limits."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from core.explain.signature import look_for_signatures, signatures
from core.explain.signatures.burnt_in_text import text_mask

EVEN = np.full((14, 14), 1 / 196)


def plain():
    values = np.random.default_rng(0).integers(60, 90, (224, 224), dtype=np.uint8)
    return Image.fromarray(values).convert("RGB")


def lettered(at=(60, 100)):
    picture = plain()
    ImageDraw.Draw(picture).text(at, "LEFT 1234", fill="white", font=ImageFont.load_default(18))
    return picture


def fired(view, attention):
    return {each["name"] for each in look_for_signatures(view, {"attention": attention}) if each["fires"]}


def test_each_has_a_file_a_title_and_a_limit_in_its_sentence():
    assert [each.name() for each in signatures()] == ["border", "burnt_in_text", "collapse"]
    *found_signs, modality = look_for_signatures(lettered(), {"attention": EVEN})
    assert (modality["name"], modality["fires"]) == ("modality", None)
    assert modality["sentence"].startswith("Cannot be checked with this backbone: ")
    for found in found_signs:
        assert f"limit {found['limit']:g}" in found["sentence"]
        assert found["sentence"].endswith("Not seen here.")


def test_even_attention_on_a_plain_picture_shows_no_sign():
    assert fired(plain(), EVEN) == set()
    text = next(each for each in look_for_signatures(plain(), {"attention": EVEN}) if each["name"] == "burnt_in_text")
    assert (text["value"], text["fires"]) == (None, False)


def test_attention_on_the_ring_is_told():
    ringed = EVEN.copy()
    ringed[0] *= 6
    assert fired(plain(), ringed) == {"border"}


def test_one_patch_that_draws_all_is_told_whatever_vectors_replaced():
    sunk = EVEN.copy()
    sunk[7, 7] = 0.3
    sunk[0, :4] = np.nan
    assert fired(plain(), sunk) == {"collapse"}


def test_letters_are_found_and_attention_on_them_is_told():
    mask = text_mask(lettered())
    assert mask[100:122, 60:130].mean() > 0.4
    assert mask[:90].sum() == mask[130:].sum() == 0
    on_letters = EVEN.copy()
    on_letters[6:8, 4:9] *= 8
    assert fired(lettered(), on_letters) == {"burnt_in_text"}
    assert fired(lettered(), EVEN) == set()


@pytest.mark.parametrize("shade", [0, 255])
def test_an_empty_picture_has_no_letters(shade):
    assert not text_mask(Image.new("L", (300, 200), shade)).any()
