"""Random words: what they keep of a sentence, that a seed gives one list, and that no feature is made twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.descriptions.evidence.random_words import (
    BLOCK,
    VOCABULARIES,
    Frame,
    Vocabulary,
    random_sentences,
    random_words,
    words_of,
)
from core.tuning.feature_store import FeatureStore
from tests.builders import tiny_backbone


@pytest.mark.parametrize(
    ("sentence", "frame"),
    [
        ("A Breast Cyst with a thin wall.", Frame(5, "breast cyst", ".")),
        ("Round and dark", Frame(3, "", "")),
        ("breast cyst", Frame(0, "breast cyst", "")),
        ("Is it round?", Frame(3, "", "?")),
    ],
)
def test_a_frame_keeps_number_of_words_name_and_ending(sentence: str, frame: Frame) -> None:
    assert Frame.of(sentence, "breast cyst") == frame


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_random_sentences_have_as_many_words_and_the_name_once(vocabulary: Vocabulary) -> None:
    found = random_sentences(Frame(5, "breast cyst", "."), vocabulary, 300, seed=1)
    assert len(found) == 300
    assert len(set(found)) == 300
    for text in found:
        assert text.endswith(".")
        assert text.count("breast cyst") == 1
        assert len(text.split()) == 7
        assert set(text[:-1].replace("breast cyst", "").split()) <= set(words_of(vocabulary))
    assert {text.startswith("breast cyst") for text in found} == {True, False}


def test_of_one_seed_a_longer_list_begins_with_the_shorter() -> None:
    frame = Frame(4, "", "")
    assert random_sentences(frame, "everyday", 450, 3)[:99] == random_sentences(frame, "everyday", 99, 3)
    assert random_sentences(frame, "everyday", 99, 3) != random_sentences(frame, "everyday", 99, 4)


def test_vocabularies_share_no_word_and_hold_enough() -> None:
    everyday, radiological = (set(words_of(vocabulary)) for vocabulary in VOCABULARIES)
    assert not everyday & radiological
    assert min(len(everyday), len(radiological)) > 200
    assert len(everyday) == len(words_of("everyday"))


def test_features_are_those_of_the_sentences_and_come_from_the_store_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, store, frame = tiny_backbone(), FeatureStore(tmp_path / "features.sqlite"), Frame(3, "", ".")
    first = random_words(backbone, store, 1)(frame, "radiological", BLOCK + 3)
    texts = random_sentences(frame, "radiological", BLOCK + 3, 1)
    expected = backbone.encode_texts(texts).double().numpy()
    cosines = (first * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines == pytest.approx(1.0, abs=1e-5)
    monkeypatch.setattr(type(backbone), "encode_texts", None)
    assert np.array_equal(random_words(backbone, store, 1)(frame, "radiological", BLOCK + 3), first)
