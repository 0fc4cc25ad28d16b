"""Small drawn worlds: images around class directions, and sentences whose features are looked up, not encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.random_words import Frame, Vocabulary
from core.descriptions.evidence.scores import SentenceScores, unit

WIDTH, SCALE = 128, 12.0


def seeded(*parts: object) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big"))


class World:
    """Classes named "class 0" and so on, each with a direction of its own.

    A text "about N" lies near the direction of class N, any other anywhere; words after it make texts differ. One that
    names a class in capitals ("CLASS 2: about 0") lies half-way between the two.
    """

    def __init__(self, classes: int = 3, per_class: int = 20, noise: float = 0.5, seed: int = 0) -> None:
        self.directions = unit(seeded("directions", seed).normal(size=(classes, WIDTH)))
        self.names = [f"class {c}" for c in range(classes)]
        self.labels = np.repeat(np.arange(classes), per_class)
        spread = seeded("images", seed).normal(size=(self.labels.size, WIDTH)) * noise / np.sqrt(WIDTH)
        self.features = unit(self.directions[self.labels] + spread)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self._feature(text) for text in texts])

    def _feature(self, text: str) -> np.ndarray:
        name, _, rest = text.partition(": ")
        if rest:
            named = self.directions[int(name.split()[1])] if name.startswith("CLASS") else self._feature(name)
            return unit(named + self._feature(rest))
        anywhere = unit(seeded("text", text).normal(size=WIDTH))
        if not text.startswith("about "):
            return anywhere
        return unit(self.directions[int(text.split()[1])] + 0.6 * anywhere)

    def images(self, groups: Sequence[str | None] | None = None) -> EvidenceImages:
        given = groups or [None] * self.labels.size
        return EvidenceImages.of(self.features, self.labels.tolist(), given, len(self.names))

    def scores(self, sentences: dict[str, list[str]], groups: Sequence[str | None] | None = None) -> SentenceScores:
        return SentenceScores.of(self.images(groups), sentences, self.encode, SCALE)


def anywhere(frame: Frame, vocabulary: Vocabulary, count: int) -> np.ndarray:
    """Features of random sentences: anywhere, a longer list beginning with the shorter one."""
    return unit(seeded("random words", frame, vocabulary).normal(size=(count, WIDTH)))
