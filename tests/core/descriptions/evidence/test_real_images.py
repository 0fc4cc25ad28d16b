"""Verdicts on real images: nonsense is not called helpful, and sentences of another class come out as harmful.

Run with `-m slow -s` to see the rates. They take minutes: each kind of sentence has random sentences of its own.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.controls import controls
from core.descriptions.evidence.gather import evidence_images, gather_scores, text_encoder
from core.descriptions.evidence.random_words import (
    VOCABULARIES,
    Frame,
    Vocabulary,
    random_features,
    random_sentences,
    random_words,
)
from core.descriptions.evidence.scores import SentenceScores
from core.descriptions.evidence.sentences import SentenceEvidence, weigh_sentences
from core.images.image_set import ImageSet
from core.tuning.feature_store import FeatureStore
from tests.builders import embedded_backbone, session_folder

DATA = os.environ.get("PROMPTOSCOPE_TEST_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DATA, reason="PROMPTOSCOPE_TEST_DATA names no folder of real images"),
]
SHOTS, EACH = 16, 10
WORDS = "abcdefghijklmnopqrstuvwxyz"
SENTENCES = {
    "btmri": {
        "glioma tumor": (
            "A glioma tumor often has an uneven edge that fades into the brain.",
            "A glioma tumor with a dark center and a bright ring.",
            "The lesion pushes the midline to the other side.",
            "Swelling spreads through the white matter around it.",
            "MRI of a glioma tumor crossing to the other half.",
        ),
        "meningioma tumor": (
            "A meningioma tumor sits on the outer lining of the brain.",
            "A meningioma tumor lights up evenly after contrast.",
            "A smooth round mass with a broad base at the skull.",
            "A bright tail runs along the dura beside it.",
            "MRI of a meningioma tumor next to the bone.",
        ),
        "normal brain": (
            "A normal brain has two symmetric halves.",
            "A normal brain with clear gray and white matter.",
            "The ventricles are of regular size and shape.",
            "The grooves and folds are regular on both sides.",
            "MRI of a normal brain of a healthy person.",
        ),
        "pituitary tumor": (
            "A pituitary tumor lies at the base of the brain.",
            "The pituitary tumor reaches up to the optic chiasm.",
            "A small round mass in the sella turcica.",
            "An enlarged gland in the midline above the sphenoid sinus.",
            "MRI of a pituitary tumor on a sagittal slice.",
        ),
    },
    "cxr3": {
        "covid lungs": (
            "Covid lungs show hazy ground glass in both lower zones.",
            "Covid lungs with opacities at the edges of both sides.",
            "Blurred vessel markings on both sides.",
            "Several gray areas without a clear border.",
            "A chest X-ray of covid lungs.",
        ),
        "normal lungs": (
            "Normal lungs are dark and clear.",
            "Normal lungs with sharp angles and fine vessels.",
            "The heart has a regular size and a clear border.",
            "Both sides are evenly filled with air.",
            "A chest X-ray of normal lungs.",
        ),
        "pneumonia lungs": (
            "Pneumonia lungs show a dense white area in one lobe.",
            "Pneumonia lungs with a focal opacity.",
            "Consolidation of a lobe with air bronchograms.",
            "The heart border is blurred by an infiltrate.",
            "A chest X-ray of pneumonia lungs.",
        ),
    },
}
NONSENSE = ("everyday", "radiological", "named everyday", "named radiological", "letters")


@cache
def store() -> FeatureStore:
    return FeatureStore(session_folder() / "evidence.sqlite")


@cache
def image_set(name: str) -> ImageSet:
    assert DATA
    return ImageSet.read(Path(DATA) / name)


def scores_of(name: str, sentences: dict[str, list[str]]) -> SentenceScores:
    images = evidence_images(image_set(name), SHOTS, 1)
    given = DescriptionSet({label: tuple(texts) for label, texts in sentences.items()}, "test")
    return gather_scores(embedded_backbone(), image_set(name).classes, images, given, store())


def weighed(name: str, sentences: dict[str, list[str]]) -> list[SentenceEvidence]:
    return weigh_sentences(scores_of(name, sentences), random_words(embedded_backbone(), store(), 1))


def nonsense(kind: str, label: str, count: int, seed: int) -> list[str]:
    if kind == "letters":
        stream = random.Random(f"{label}|{seed}")
        word = lambda: "".join(stream.choices(WORDS, k=stream.randint(3, 9)))  # noqa: E731
        return [" ".join(word() for _ in range(8)) + "." for _ in range(count)]
    vocabulary = next(v for v in VOCABULARIES if kind.endswith(v))
    frame = Frame(6, label, ".") if kind.startswith("named") else Frame(8, "", ".")
    # other words than those in whose place they are held against: another seed, and another for each class
    return random_sentences(frame, vocabulary, count, 1000 * (1 + seed) + sum(map(ord, label)))


@pytest.mark.parametrize("name", SENTENCES)
def test_nonsense_is_helpful_in_at_most_two_of_a_hundred_cases(name: str) -> None:
    told: dict[str, list[str]] = {}
    for kind in NONSENSE:
        whole = {label: nonsense(kind, label, EACH, 0) for label in SENTENCES[name]}
        told[kind] = [row.verdict for row in weighed(name, whole)]
        beside = {label: [*nonsense(kind, label, 5, 1), *SENTENCES[name][label]] for label in SENTENCES[name]}
        told[f"{kind}, beside true ones"] = [row.verdict for row in weighed(name, beside) if row.index < 5]
    found = [verdict for verdicts in told.values() for verdict in verdicts]
    for kind, verdicts in told.items():
        counts = {verdict: verdicts.count(verdict) for verdict in ("helpful", "harmful")}
        print(f"{name}, {kind}: {counts} of {len(verdicts)}")
    share = found.count("helpful") / len(found)
    print(f"{name}: {found.count('helpful')} helpful, {found.count('harmful')} harmful of {len(found)}")
    assert len(found) > 200
    assert share <= 0.02
    assert found.count("harmful") / len(found) <= 0.05


def planted(name: str, renamed: bool) -> Iterator[dict[str, list[str]]]:
    """Sets in which the third sentence of one class is the first of another; renamed: it names the class it is in."""
    texts = SENTENCES[name]
    for label in texts:
        for other in texts:
            if other != label:
                wrong = re.sub(other, label, texts[other][0], flags=re.IGNORECASE) if renamed else texts[other][0]
                yield {own: list(rows) for own, rows in texts.items()} | {
                    label: [*texts[label][:2], wrong, *texts[label][3:]]
                }


@pytest.mark.parametrize(
    ("name", "renamed", "least"),
    [("btmri", False, 0.5), ("cxr3", False, 0.3), ("btmri", True, 0.05), ("cxr3", True, 0)],
)
def test_a_sentence_about_another_class_comes_out_as_harmful(name: str, renamed: bool, least: float) -> None:
    caught, blamed = [], []
    for sentences in planted(name, renamed):
        for row in weighed(name, sentences):
            is_planted = row.sentence not in SENTENCES[name][row.class_name]
            (caught if is_planted else blamed).append(row.verdict == "harmful")
            if is_planted:
                print(
                    f"{row.class_name}: {row.verdict}, closest {row.closest_class}, p {row.p_harm:.4f}: {row.sentence}"
                )
    print(f"{name}: {sum(caught)} of {len(caught)} planted ones are harmful, {sum(blamed)} of {len(blamed)} others")
    assert sum(caught) / len(caught) >= least
    assert sum(blamed) / len(blamed) <= 0.02


@pytest.mark.parametrize("name", SENTENCES)
def test_a_set_of_nonsense_is_no_better_than_random_words_and_true_sentences_are(name: str) -> None:
    backbone = embedded_backbone()
    told = {}
    for kind in NONSENSE:
        scores = scores_of(name, {label: nonsense(kind, label, EACH, 2) for label in SENTENCES[name]})
        told[kind] = controls(scores, random_words(backbone, store(), 1), text_encoder(backbone, store()))
        print(f"{name}, {kind}: {told[kind]['answer']}")
    assert [kind for kind, found in told.items() if found["better_than_random_words"]] == []
    true = scores_of(name, {label: list(texts) for label, texts in SENTENCES[name].items()})
    found = controls(true, random_words(backbone, store(), 1), text_encoder(backbone, store()))
    print(f"{name}, true sentences: {found['answer']}")
    for vocabulary in VOCABULARIES:
        row = found[f"random_{vocabulary}"]["log_likelihood"]
        print(f"  {vocabulary}: p {row['p']}, {row['difference']['mean']:+.3f} from {row['difference']['low']:+.3f}")
    assert found["better_than_random_words"]


FALSE_ALARM_SETS, POOL, IN_SET = 60, 800, 5


@pytest.mark.parametrize("kind", NONSENSE)
def test_few_of_many_sets_of_nonsense_are_better_than_random_words(kind: str) -> None:
    """Each set is drawn with its controls from pools of sentences, so that many can be looked at."""
    backbone, encode = embedded_backbone(), text_encoder(embedded_backbone(), store())
    classes, stream = image_set("cxr3").classes, np.random.default_rng(3)
    own = {label: encode(nonsense(kind, label, IN_SET * FALSE_ALARM_SETS, 5)) for label in classes}
    empty = scores_of("cxr3", {label: nonsense(kind, label, IN_SET, 5) for label in classes})
    better = 0
    for at in range(FALSE_ALARM_SETS):
        rows = [own[label][IN_SET * at : IN_SET * (at + 1)] for label in classes]
        pools: dict[tuple[Frame, str], np.ndarray] = {}

        def drawn(frame: Frame, vocabulary: Vocabulary, count: int, pools: dict = pools) -> np.ndarray:
            if (frame, vocabulary) not in pools:
                known = random_features(backbone, frame, vocabulary, POOL, 9, store())
                pools[frame, vocabulary] = known[stream.permutation(POOL)]
            return pools[frame, vocabulary][:count]

        found = controls(replace(empty, features=tuple(rows)), drawn, encode)
        better += bool(found["better_than_random_words"])
    print(f"cxr3, {kind}: {better} of {FALSE_ALARM_SETS} sets are called better than random words")
    assert better <= 0.1 * FALSE_ALARM_SETS  # at 2.5 % each more than 6 of 60 come once in 1,000 series
