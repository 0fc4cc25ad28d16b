"""Sentences tried on ready training images: what changes do to zero-shot, and where sentences lie. JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.descriptions.evidence.class_map import class_map
from core.descriptions.evidence.scores import SentenceScores
from core.descriptions.ready_images import ReadyImages

Texts = Mapping[str, Sequence[str]]


def effect_on(ready: ReadyImages, before: Texts, after: Texts) -> dict[str, Any]:
    """Zero-shot with the sentences before and after, {class: sentences} in label order, each class with one at least.

    accuracy (fraction, class average), log_likelihood (nats) with `_before` and `_after`, also in per_class; n_changed
    images get another class. Only texts that were not met before are encoded.
    """
    was, now = (SentenceScores.of(ready.images, texts, ready.encode, ready.scale) for texts in (before, after))
    first, second = was.summary(), now.summary()
    rows = zip(ready.classes, _counts(ready), first["classes"], second["classes"], strict=True)
    return {
        **_both(first, second),
        "n_changed": int((was.logits.argmax(axis=1) != now.logits.argmax(axis=1)).sum()),
        "per_class": [{"class": name, "n_images": n} | _both(one, two) for name, n, one, two in rows],
        **ready.as_dict(),
    }


def no_effect_on(ready: ReadyImages) -> dict[str, Any]:
    """The same where a class has no sentence yet: the images, and None for what cannot be known."""
    nothing = _both(*[dict.fromkeys(("accuracy", "log_likelihood"))] * 2)
    rows = zip(ready.classes, _counts(ready), strict=True)
    per_class = [{"class": name, "n_images": n} | nothing for name, n in rows]
    return {**nothing, "n_changed": 0, "per_class": per_class, **ready.as_dict()}


def map_on(ready: ReadyImages, sentences: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """The class map of (id, class, text), each class with one at least; points of sentences have their `id`.

    See `core.descriptions.evidence.class_map`.
    """
    ordered = [each for name in ready.classes for each in sentences if each[1] == name]
    texts = {name: [text for _, label, text in ordered if label == name] for name in ready.classes}
    found = class_map(SentenceScores.of(ready.images, texts, ready.encode, ready.scale))
    rows = [point for point in found["points"] if point["kind"] == "sentence"]
    for point, (id_, _, _) in zip(rows, ordered, strict=True):
        point["id"] = id_
    return found | ready.as_dict()


def _counts(ready: ReadyImages) -> list[int]:
    return [int(n) for n in np.bincount(ready.images.labels, minlength=len(ready.classes))]


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = ("accuracy", "log_likelihood")
    return {f"{name}_{side}": found[name] for name in names for side, found in (("before", before), ("after", after))}
