"""Quantities of sentences against the same worked out image by image, and what an edit does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.scores import Place, SentenceScores, unit, what_if
from core.errors import InvalidInput, NotFound
from tests.core.descriptions.evidence.worlds import SCALE, World

WORLD = World(noise=2.0)
SENTENCES = {
    "class 0": ["about 0 a", "about 0 b", "something"],
    "class 1": ["about 1 a", "else"],
    "class 2": ["about 2", "about 0 c", "about 2 d", "x"],
}


def by_hand(features: np.ndarray, labels: np.ndarray, texts: list[list[np.ndarray]]) -> list[float]:
    """Log-likelihood of each image, one at a time."""
    found = []
    for f, y in zip(features, labels, strict=True):
        scores = []
        for rows in texts:
            mean = sum(rows) / len(rows)
            scores.append(SCALE * sum(a * b for a, b in zip(f, mean / math.sqrt(sum(mean**2)), strict=True)))
        scores_sum = sum(math.exp(score) for score in scores)
        found.append(math.log(math.exp(scores[y]) / scores_sum))
    return found


def texts_of(sentences: dict[str, list[str]]) -> list[list[np.ndarray]]:
    return [[WORLD.encode([text])[0] for text in texts] for texts in sentences.values()]


def test_log_likelihoods_equal_those_worked_out_image_by_image() -> None:
    scores = WORLD.scores(SENTENCES)
    expected = by_hand(WORLD.features, WORLD.labels, texts_of(SENTENCES))
    assert scores.log_likelihoods == pytest.approx(expected, abs=1e-10)
    assert scores.log_likelihood == pytest.approx(np.mean(expected), abs=1e-10)


def test_leaving_out_and_replacing_change_one_prototype() -> None:
    scores, random = WORLD.scores(SENTENCES), WORLD.encode(["r1", "r2", "r3"])
    for place in scores.places:
        texts = texts_of(SENTENCES)
        del texts[place.label][place.index]
        left = np.mean(by_hand(WORLD.features, WORLD.labels, texts))
        assert scores.log_likelihood_without(place) == pytest.approx(left, abs=1e-10)
        for r, value in zip(random, scores.replaced(place, random), strict=True):
            texts = texts_of(SENTENCES)
            texts[place.label][place.index] = r
            assert value == pytest.approx(np.mean(by_hand(WORLD.features, WORLD.labels, texts)), abs=1e-10)


def test_many_images_are_worked_on_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, random = WORLD.scores(SENTENCES), WORLD.encode([f"r{i}" for i in range(7)])
    whole = scores.replaced(Place(1, 0), random)
    monkeypatch.setattr("core.descriptions.evidence.scores.CELLS_AT_ONCE", 2 * len(scores.images))
    assert scores.replaced(Place(1, 0), random) == pytest.approx(whole, abs=1e-12)


def test_agreement_is_the_auroc_of_other_software() -> None:
    from sklearn.metrics import roc_auc_score

    scores = WORLD.scores(SENTENCES)
    for place in scores.places:
        cosines = WORLD.features @ scores.feature(place)
        assert scores.agreement(place) == pytest.approx(roc_auc_score(WORLD.labels == place.label, cosines))
    alone = WORLD.scores({"class 0": ["a", "b"]}).on(WORLD.images().narrowed(WORLD.labels == 0))
    assert alone.agreement(Place(0, 0)) is None


def test_the_margin_is_towards_the_closest_other_class() -> None:
    scores = WORLD.scores(SENTENCES)
    cosines = WORLD.features @ scores.feature(Place(2, 1))
    means = [cosines[WORLD.labels == c].mean() for c in range(3)]
    found = scores.margins(2, scores.feature(Place(2, 1))[None])[0]
    assert found == pytest.approx(means[2] - max(means[0], means[1]))
    assert scores.closest_class(Place(2, 1)) == "class 0"


def test_classes_weigh_alike_and_within_them_groups() -> None:
    labels, groups = [0, 0, 0, 0, 1, 1], ["p", "p", "p", "q", "p", "r"]
    images = EvidenceImages.of(unit(np.ones((6, 3))), labels, groups, 2)
    assert images.weights == pytest.approx([1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 4, 1 / 4])
    assert images.class_average(np.array([1.0, 2, 3, 6, 10, 20])) == pytest.approx(((2 + 6) / 2 + 15) / 2)
    assert (images.n_units, images.fewest_of_class, images.units.kind) == (3, 2, "groups")


def test_pseudo_values_are_those_of_leaving_each_group_out() -> None:
    random = np.random.default_rng(4)
    labels, groups = random.integers(0, 3, 40), [f"g{g}" for g in random.integers(0, 12, 40)]
    images = EvidenceImages.of(unit(random.normal(size=(40, 4))), labels.tolist(), groups, 3)
    values, g = random.normal(size=40), images.n_units
    whole = images.class_average(values)
    expected = []
    for at in range(g):
        keep = images.units.of_image != at
        expected.append(g * whole - (g - 1) * images.narrowed(keep).class_average(values[keep]))
    expected = np.array(expected) - np.mean(expected) + whole
    assert images.pseudo_values(values) == pytest.approx(expected, abs=1e-9)


def test_an_edit_encodes_one_text_and_equals_starting_anew() -> None:
    asked = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return WORLD.encode(texts)

    scores = WORLD.scores(SENTENCES)
    found, edited = what_if(scores, "class 2", 1, "about 2 new", encode)
    assert asked == ["about 2 new"]
    anew = WORLD.scores({**SENTENCES, "class 2": ["about 2", "about 2 new", "about 2 d", "x"]})
    assert edited.sentences == anew.sentences
    assert found["after"]["log_likelihood"] == pytest.approx(anew.log_likelihood, abs=1e-12)
    assert found["before"] == scores.summary()
    assert found["change"]["accuracy"] == pytest.approx(anew.accuracy - scores.accuracy)
    assert [row["class"] for row in found["after"]["classes"]] == list(SENTENCES)


def test_a_sentence_can_be_added_and_taken_away_but_not_the_last() -> None:
    scores = WORLD.scores(SENTENCES)
    _, longer = what_if(scores, "class 1", 2, "about 1 more", WORLD.encode)
    assert longer.sentences[1] == ("about 1 a", "else", "about 1 more")
    _, back = what_if(longer, "class 1", 2, None, WORLD.encode)
    assert back.log_likelihood == pytest.approx(scores.log_likelihood, abs=1e-12)
    _, one = what_if(scores, "class 1", 0, None, WORLD.encode)
    with pytest.raises(InvalidInput, match="A sentence for each class; 'class 1' has one"):
        what_if(one, "class 1", 0, None, WORLD.encode)
    with pytest.raises(NotFound, match="'class 9' is none"):
        what_if(scores, "class 9", 0, "x", WORLD.encode)
    with pytest.raises(NotFound, match="found none at 7"):
        what_if(scores, "class 1", 7, "x", WORLD.encode)


def test_a_class_without_sentence_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a class has none"):
        SentenceScores.of(WORLD.images(), {"class 0": ["a"], "class 1": []}, WORLD.encode, SCALE)
