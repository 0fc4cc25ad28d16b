"""Sentences of random words: what a sentence is worth beyond having words at all.

Two vocabularies of our own: everyday words, of which none speaks of a picture, and words of radiology and biomedicine
("mass", "border", "signal") that say nothing of which belongs to which class.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

import numpy as np

from core.backbones.contract import Backbone
from core.images.labelled_image import digest
from core.tuning.feature_store import FeatureStore, address
from core.tuning.features import text_features

Vocabulary = Literal["everyday", "radiological"]
VOCABULARIES: tuple[Vocabulary, ...] = get_args(Vocabulary)
BLOCK = 200
"""Random sentences that are encoded and kept together."""


@dataclass(frozen=True)
class Frame:
    """What a random sentence keeps of the one whose place it takes.

    words: how many are drawn. name: the class's name, where the sentence has it: it is kept, so that what is asked is
    whether the sentence says more than the name. ending: the mark at its end, or "".
    """

    words: int
    name: str
    ending: str

    @classmethod
    def of(cls, sentence: str, class_name: str) -> Frame:
        """The frame of a sentence about a class."""
        bare = sentence.rstrip(".!? ")
        named = re.search(rf"\b{re.escape(class_name)}", bare, re.IGNORECASE)
        words = len(bare.split()) - (len(class_name.split()) if named else 0)
        return cls(max(words, 0), class_name if named else "", sentence[len(bare) :].strip()[:1])

    def filled(self, words: list[str], at: int) -> str:
        """A sentence of these words with the name after the first `at` of them."""
        whole = [*words[:at], self.name, *words[at:]] if self.name else words
        return " ".join(whole) + self.ending


Draw = Callable[[Frame, Vocabulary, int], np.ndarray]
"""Unit features (count, width) of so many random sentences; more of them begin with the fewer."""


@cache
def words_of(vocabulary: Vocabulary) -> tuple[str, ...]:
    """The words of a vocabulary, one a line of its file."""
    return tuple(files(__package__).joinpath(f"{vocabulary}.txt").read_text("utf-8").split())


def random_sentences(frame: Frame, vocabulary: Vocabulary, count: int, seed: int) -> list[str]:
    """Sentences of words drawn with replacement; of one seed a longer list begins with the shorter one."""
    found: list[str] = []
    for block in range(-(-count // BLOCK)):
        found += _block(frame, vocabulary, block, seed)
    return found[:count]


def random_words(backbone: Backbone, store: FeatureStore, seed: int) -> Draw:
    """A source of random sentences' features on a backbone, kept in the store so that a second call reads them."""
    return lambda frame, vocabulary, count: random_features(backbone, frame, vocabulary, count, seed, store)


def random_features(
    backbone: Backbone, frame: Frame, vocabulary: Vocabulary, count: int, seed: int, store: FeatureStore
) -> np.ndarray:
    """Unit features (count, joint_width) of `random_sentences`, block by block from the store where they are known."""
    blocks = [_block(frame, vocabulary, block, seed) for block in range(-(-count // BLOCK))]
    # rounding of the fast passes is part of the address; sentences to be judged never take them
    addresses = [address(backbone.checksum, backbone.precision, "random words", digest(block)) for block in blocks]
    known = store.get(addresses)
    for at, block in zip(addresses, blocks, strict=True):
        if at not in known:
            with backbone.fast_passes():
                known[at] = text_features(backbone, block).cpu().flatten()
            store.put({at: known[at]})
    return np.concatenate([known[at].numpy().reshape(BLOCK, -1) for at in addresses])[:count].astype(np.float64)


def _block(frame: Frame, vocabulary: Vocabulary, block: int, seed: int) -> list[str]:
    known = words_of(vocabulary)
    stream = random.Random(f"{seed}|{vocabulary}|{frame.words}|{frame.name}|{frame.ending}|{block}")
    drawn = (stream.choices(known, k=frame.words) for _ in range(BLOCK))
    return [frame.filled(words, stream.randint(0, frame.words)) for words in drawn]
