"""How a set of sentences classifies images, and what changes when one of its sentences does.

The prototype of a class is the unit-length mean of its sentences' unit features; an image's score for it is the logit
scale times their cosine, and its log-likelihood the log-softmax at its own class. One sentence moves one prototype, so
that one column of scores is computed anew and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.findings.naming import NEUTRAL, ClassNames
from core.errors import InvalidInput, NotFound

Encode = Callable[[Sequence[str]], np.ndarray]
"""Texts to their unit features (texts, width)."""
CELLS_AT_ONCE = 4_000_000
"""Numbers (images x replacements) that are worked on together."""


@dataclass(frozen=True)
class Place:
    """Where a sentence stands: the number of its class, and its own within the class, both from 0."""

    label: int
    index: int


@dataclass(frozen=True)
class SentenceScores:
    """Images, sentences and their features, kept ready so that a changed sentence costs one encoded text.

    classes: names in label order. sentences: of each class, at least one. features: of each class (its sentences,
    width), unit length. scale: the backbone's factor on cosines. nameless: features of what the sentences tell beside
    the name of their class (`nameless_text`); None where nobody asked for them. Never changed: an edit makes another
    one that shares the images.
    """

    images: EvidenceImages
    classes: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    features: tuple[np.ndarray, ...]
    scale: float
    nameless: tuple[np.ndarray, ...] | None = None

    @classmethod
    def of(
        cls, images: EvidenceImages, sentences: Mapping[str, Sequence[str]], encode: Encode, scale: float
    ) -> SentenceScores:
        """Encode a set's sentences, classes in the order of `sentences`. Raises InvalidInput for a class without."""
        texts = tuple(tuple(found) for found in sentences.values())
        if not all(texts):
            raise InvalidInput("Evidence needs a sentence for each class", "a class has none", "Add one.")
        found = np.asarray(encode([text for group in texts for text in group]), dtype=np.float64)
        cuts = np.cumsum([len(group) for group in texts])[:-1]
        return cls(images, tuple(sentences), texts, tuple(np.split(found, cuts)), float(scale))

    def with_nameless(self, encode: Encode) -> SentenceScores:
        """The same, with features of what each sentence tells beside the name of its class."""
        texts = [[nameless_text(text, name) for text in own] for name, own in self._by_class()]
        found = np.asarray(encode([text for own in texts for text in own]), dtype=np.float64)
        return replace(self, nameless=tuple(np.split(found, np.cumsum([len(own) for own in texts])[:-1])))

    @cached_property
    def said_of_several(self) -> frozenset[str]:
        """What sentences of most classes tell, beside the name of their class: it speaks for none of them."""
        told = Counter(text for name, own in self._by_class() for text in {nameless_text(text, name) for text in own})
        return frozenset(text for text, classes in told.items() if classes > len(self.classes) / 2)

    def _by_class(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        return zip(self.classes, self.sentences, strict=True)

    @cached_property
    def sums(self) -> np.ndarray:
        """Sums of each class's sentence features: (classes, width)."""
        return np.stack([found.sum(axis=0) for found in self.features])

    @cached_property
    def logits(self) -> np.ndarray:
        """Scores (images, classes)."""
        return self.scale * (self.images.features @ unit(self.sums).T)

    @cached_property
    def log_likelihoods(self) -> np.ndarray:
        """Log-softmax of each image's scores at its class, in nats: (images,)."""
        return log_likelihoods(self.logits, self.images.labels)

    @cached_property
    def hits(self) -> np.ndarray:
        """1 where an image's highest score is its class's, else 0: (images,)."""
        return (self.logits.argmax(axis=1) == self.images.labels).astype(float)

    @property
    def log_likelihood(self) -> float:
        """Class average in nats; at most 0."""
        return float(self.images.class_average(self.log_likelihoods))

    @property
    def accuracy(self) -> float:
        """Class average of hits, in [0, 1]: the balanced accuracy where no groups are known."""
        return float(self.images.class_average(self.hits))

    @property
    def places(self) -> list[Place]:
        """All sentences, class by class."""
        return [Place(c, j) for c, texts in enumerate(self.sentences) for j in range(len(texts))]

    def feature(self, place: Place) -> np.ndarray:
        """The sentence's feature (width,), unit length."""
        return self.features[place.label][place.index]

    def text(self, place: Place) -> str:
        """The sentence itself."""
        return self.sentences[place.label][place.index]

    def place(self, class_name: str, index: int) -> Place:
        """The place of a class's sentence, counted from 0. Raises NotFound."""
        if class_name not in self.classes:
            raise NotFound(f"A class among {', '.join(self.classes)}", f"'{class_name}' is none")
        label = self.classes.index(class_name)
        if not 0 <= index < len(self.sentences[label]):
            raise NotFound(f"'{class_name}' has {len(self.sentences[label])} sentences", f"found none at {index}")
        return Place(label, index)

    def agreement(self, place: Place) -> float | None:
        """AUROC of the sentence's cosine between images of its class and the others; None where one side is empty."""
        own = self.images.labels == place.label
        if own.all() or not own.any():
            return None
        cosines = self.images.features @ self.features[place.label][place.index]
        ordered = np.sort(cosines[~own])
        below = np.searchsorted(ordered, cosines[own], "left") + np.searchsorted(ordered, cosines[own], "right")
        return float(below.mean() / 2 / ordered.size)

    @cached_property
    def centroids(self) -> np.ndarray:
        """Mean image feature of each class, units weighing alike: (classes, width), NaN for a class without image."""
        return self.images.per_class(self.images.features.T).T

    def margins(self, label: int, features: np.ndarray) -> np.ndarray:
        """Mean cosine with the images of a class less that with those of the closest other class: (R,).

        features: (R, width), unit length. NaN where there is no other class with images.
        """
        cosines = features @ self.centroids.T
        others = np.delete(cosines, label, axis=1)
        return cosines[:, label] - others[:, ~np.isnan(others).all(axis=0)].max(axis=1, initial=-np.inf)

    def closest_class(self, place: Place) -> str:
        """The class whose images have the highest mean cosine with a sentence."""
        return self.closest(self.feature(place))

    def closest(self, feature: np.ndarray) -> str:
        """The class whose images have the highest mean cosine with a feature (width,)."""
        return self.classes[int(np.nanargmax(self.centroids @ feature))]

    def told(self, place: Place) -> tuple[str, str, np.ndarray]:
        """A sentence without the name of its class, what stands for the name in it, and its feature (width,).

        As it is where nothing is known of it without the name, and where most classes have the same sentence about
        themselves: without the name it would speak for none of them.
        """
        text, name = self.text(place), self.classes[place.label]
        told = nameless_text(text, name)
        if self.nameless is None or told in self.said_of_several:
            return text, name, self.feature(place)
        return told, NEUTRAL, self.nameless[place.label][place.index]

    def log_likelihood_without(self, place: Place) -> float | None:
        """Of the set without one sentence, in nats; None where its class would have none."""
        logits = self.without(place)
        if logits is None:
            return None
        return float(self.images.class_average(log_likelihoods(logits, self.images.labels)))

    def without(self, place: Place) -> np.ndarray | None:
        """Scores (images, classes) without one sentence; None where its class would have none."""
        if len(self.sentences[place.label]) < 2:
            return None
        return self._with_sum(place.label, self._rest(place))

    def replaced(self, place: Place, features: np.ndarray) -> np.ndarray:
        """Log-likelihood of the set, in nats, with one sentence replaced by each of R others: (R,).

        features: (R, width), unit length.
        """
        images, label, rest = self.images, place.label, self._rest(place)
        others, own = _apart(self.logits, images.labels, label)
        found = np.empty(len(features))
        step = max(1, CELLS_AT_ONCE // len(images))
        for start in range(0, len(features), step):
            chunk = features[start : start + step]
            column = self.scale * (images.features @ unit(rest + chunk).T)
            found[start : start + step] = images.weights @ _with_column(column, others, own, images.labels == label)
        return found

    def with_sentence(self, place: Place, text: str | None, encode: Encode) -> SentenceScores:
        """The set with another sentence at a place, or without it (None): only that text is encoded.

        An index one beyond the class's sentences adds one. Raises InvalidInput where a class would be left without.
        """
        texts, found = list(self.sentences[place.label]), self.features[place.label]
        at = slice(place.index, place.index + 1)
        if text is None and len(texts) < 2:
            name = self.classes[place.label]
            raise InvalidInput(f"A sentence for each class; '{name}' has one", "it would be left without", "Edit it.")
        fresh = np.empty((0, found.shape[1])) if text is None else np.asarray(encode([text]), dtype=np.float64)
        texts[at] = [] if text is None else [text]
        rows = np.concatenate([found[: place.index], fresh, found[place.index + 1 :]])
        return replace(
            self,
            sentences=_put(self.sentences, place.label, tuple(texts)),
            features=_put(self.features, place.label, rows),
            nameless=None,
        )

    def chosen(self, kept: Sequence[Sequence[int]]) -> SentenceScores:
        """Some sentences of each class, in the order given. kept: of each class the numbers of its sentences."""
        return replace(
            self,
            sentences=tuple(tuple(texts[j] for j in at) for texts, at in zip(self.sentences, kept, strict=True)),
            features=_kept(self.features, kept),
            nameless=None if self.nameless is None else _kept(self.nameless, kept),
        )

    def on(self, images: EvidenceImages) -> SentenceScores:
        """The same sentences on other images."""
        return replace(self, images=images)

    def summary(self) -> dict[str, Any]:
        """Accuracy and log-likelihood of the whole set, and by class; JSON-ready."""
        hits, likelihoods = self.images.per_class(self.hits), self.images.per_class(self.log_likelihoods)
        return {
            "accuracy": self.accuracy,
            "log_likelihood": self.log_likelihood,
            "classes": [
                {"class": name, "accuracy": _known(hits[c]), "log_likelihood": _known(likelihoods[c])}
                for c, name in enumerate(self.classes)
            ],
        }

    def _rest(self, place: Place) -> np.ndarray:
        return self.sums[place.label] - self.features[place.label][place.index]

    def _with_sum(self, label: int, total: np.ndarray) -> np.ndarray:
        found = self.logits.copy()
        found[:, label] = self.scale * (self.images.features @ unit(total))
        return found


def what_if(
    scores: SentenceScores, class_name: str, index: int, text: str | None, encode: Encode
) -> tuple[dict[str, Any], SentenceScores]:
    """What an edit does to zero-shot on these images, and the set after it.

    text None takes the sentence away; an index one beyond the class's sentences adds one. Returns {before, after,
    change}, the first two as `SentenceScores.summary`, change with accuracy (fraction), log_likelihood (nats) and
    n_changed, how many images get another class. Raises NotFound, InvalidInput.
    """
    added = class_name in scores.classes and index == len(scores.sentences[scores.classes.index(class_name)])
    place = Place(scores.classes.index(class_name), index) if added and text else scores.place(class_name, index)
    edited = scores.with_sentence(place, text, encode)
    before, after = scores.summary(), edited.summary()
    change = {name: after[name] - before[name] for name in ("accuracy", "log_likelihood")}
    moved = int((scores.logits.argmax(axis=1) != edited.logits.argmax(axis=1)).sum())
    return {"before": before, "after": after, "change": change | {"n_changed": moved}}, edited


def nameless_text(text: str, class_name: str) -> str:
    """A sentence with "the finding" for the name of its class: what it tells, of whatever class."""
    return _names(class_name).with_neutral_name(text)


@lru_cache(maxsize=256)
def _names(class_name: str) -> ClassNames:
    return ClassNames([class_name])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., width) at unit length; one of no length stays as it is."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def log_likelihoods(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log-softmax of scores (images, classes) at each image's class: (images,)."""
    top = logits.max(axis=1, keepdims=True)
    return (logits - top)[np.arange(labels.size), labels] - np.log(np.exp(logits - top).sum(axis=1))


def _apart(logits: np.ndarray, labels: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Log of the summed exponentials of all other classes' scores, and scores at the true class: (images, 1) each."""
    rest = np.delete(logits, label, axis=1)
    top = rest.max(axis=1, keepdims=True) if rest.shape[1] else np.full((len(logits), 1), -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = top + np.log(np.exp(rest - top).sum(axis=1, keepdims=True))
    return others, logits[np.arange(labels.size), labels][:, None]


def _with_column(column: np.ndarray, others: np.ndarray, own: np.ndarray, is_label: np.ndarray) -> np.ndarray:
    """Log-likelihoods (images, R) where one class's scores are `column` (images, R)."""
    high = np.maximum(column, others)
    total = high + np.log1p(np.exp(-np.abs(column - others)))
    return np.where(is_label[:, None], column, own) - total


def _kept(features: tuple[np.ndarray, ...], kept: Sequence[Sequence[int]]) -> tuple[np.ndarray, ...]:
    return tuple(rows[list(at)] for rows, at in zip(features, kept, strict=True))


def _put(rows: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*rows[:at], value, *rows[at + 1 :])


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
