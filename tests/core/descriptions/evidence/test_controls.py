"""Controls of a set, the curve over sentences, choosing and the map, in drawn worlds."""

from __future__ import annotations

import numpy as np
import pytest

from core.descriptions.evidence.class_map import class_map
from core.descriptions.evidence.controls import DRAWS, controls, dealt_sets, random_sets, without_names
from core.descriptions.evidence.curve import (
    choose_sentences,
    curve,
    declines,
    effect,
    filtered,
    folds,
    numbers,
    ordered,
)
from core.descriptions.evidence.scores import Place, SentenceScores, unit
from core.errors import InvalidOption, TooFewImages
from core.evaluation.two_part import two_part
from tests.core.descriptions.evidence.worlds import World, anywhere

WORLD = World(noise=2.5)
TRUE = {f"class {c}": [f"about {c} {i}" for i in range(4)] for c in range(3)}
NONSENSE = {f"class {c}": [f"word {c} {i}" for i in range(4)] for c in range(3)}
MIXED = {name: [TRUE[name][0], NONSENSE[name][0], TRUE[name][1], NONSENSE[name][1], TRUE[name][2]] for name in TRUE}


def told(sentences: dict[str, list[str]]) -> dict:
    return controls(WORLD.scores(sentences), anywhere, WORLD.encode)


def test_true_sentences_are_better_than_random_words_and_nonsense_is_not() -> None:
    assert told(TRUE)["better_than_random_words"] is True
    assert told(TRUE)["answer"] == "Better than random words."
    assert told(NONSENSE)["better_than_random_words"] is False
    assert told(NONSENSE)["answer"] == "No better than random words."


def test_each_control_has_its_numbers_with_an_interval_of_two_parts() -> None:
    scores, found = WORLD.scores(TRUE), told(TRUE)
    names = ["set", "template", "random_everyday", "random_radiological", "without_names", "wrong_classes"]
    assert list(found)[:6] == names
    drawn = list(random_sets(scores, "everyday", anywhere))
    assert len(drawn) == found["random_everyday"]["accuracy"]["n_draws"] == DRAWS
    expected = two_part(scores.images.pseudo_values(np.stack([s.log_likelihoods for s in drawn]))).interval()
    row = found["random_everyday"]["log_likelihood"]
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    assert row["interval"] == "95% two-part over 39 draws and 60 images"
    assert row["difference"]["mean"] == pytest.approx(scores.log_likelihood - row["mean"])
    better = sum(one.log_likelihood >= scores.log_likelihood for one in drawn)
    assert row["p"] == (1 + better) / (DRAWS + 1)
    assert found["set"]["accuracy"]["mean"] == pytest.approx(scores.accuracy)
    assert found["wrong_classes"]["accuracy"]["n_draws"] == 2
    assert found["wrong_classes"]["accuracy"]["mean"] < 0.1


@pytest.mark.slow
def test_lucky_random_words_are_no_better_than_random_words() -> None:
    """Sets that are themselves random words, from the same source as the control: 1 of 40 may seem better."""
    better = []
    for seed in range(120):
        world = World(noise=2.5, seed=seed)
        nonsense = {name: [f"word {seed} {name} {i}" for i in range(4)] for name in world.names}
        found = controls(world.scores(nonsense), anywhere, world.encode)
        better.append(found["better_than_random_words"])
    assert sum(better) <= 6  # of 120 with 2.5 % each; a second vocabulary makes it rarer


def test_no_p_of_a_rank_is_smaller_than_the_set_alone_among_its_draws() -> None:
    found = told(TRUE)
    assert found["random_everyday"]["log_likelihood"]["p"] == 1 / (DRAWS + 1)
    worst = told({name: [f"about {(c + 1) % 3} wrong"] for c, name in enumerate(TRUE)})
    assert worst["random_everyday"]["accuracy"]["p"] == 1


def test_few_images_give_no_answer() -> None:
    world = World(per_class=2)
    found = controls(world.scores(TRUE), anywhere, world.encode)
    assert found["better_than_random_words"] is None
    assert found["answer"].startswith("Whether the set is better than random words cannot be told")


def test_random_sets_keep_numbers_and_names_and_repeat_no_sentence() -> None:
    scores = WORLD.scores({**TRUE, "class 0": ["class 0", "about 0 x", "about 0 y"]})
    first, second = list(random_sets(scores, "radiological", anywhere, 2))
    assert [len(rows) for rows in first.features] == [3, 4, 4]
    assert np.array_equal(first.features[0][0], scores.features[0][0])
    assert not np.allclose(first.features[1], second.features[1])
    assert len(np.unique(np.concatenate(first.features).round(9), axis=0)) == 11


def test_names_become_it() -> None:
    scores = WORLD.scores({"class 0": ["A Class 0 is dark.", "dark"], "class 1": ["class 0 no"], "class 2": ["x"]})
    assert without_names(scores, WORLD.encode).sentences == (("A it is dark.", "dark"), ("class 0 no",), ("x",))


def test_sentences_are_dealt_to_other_classes_only() -> None:
    seven = World(classes=7)
    scores = seven.scores({name: [f"{name} text"] for name in seven.names})
    dealt = list(dealt_sets(scores, seed=1))
    assert len(dealt) == 20
    for way in dealt:
        assert sorted(way.sentences) == sorted(scores.sentences)
        assert all(a != b for a, b in zip(way.sentences, scores.sentences, strict=True))


def test_numbers_of_sentences_end_at_the_largest() -> None:
    assert numbers(3) == [1, 2, 3]
    assert numbers(50) == [*range(1, 13), 15, 18, 22, 27, 33, 41, 50]


def test_folds_never_part_a_group_and_hold_all_classes() -> None:
    groups = [f"p{i // 3}" for i in range(WORLD.labels.size)]
    images = WORLD.images(groups)
    masks = folds(WORLD.scores(TRUE, groups))
    assert len(masks) == 5
    assert np.stack(masks).sum(axis=0).tolist() == [1] * len(images)
    for mask in masks:
        assert not set(images.units.of_image[mask]) & set(images.units.of_image[~mask])
        assert set(images.labels[~mask]) == {0, 1, 2}
    with pytest.raises(TooFewImages, match="Choosing sentences needs two groups or images of each class"):
        folds(World(per_class=1).scores(TRUE))


def test_the_curve_measures_each_image_with_what_the_other_folds_chose() -> None:
    scores = WORLD.scores(MIXED)
    found = curve(scores)
    rows = {(row["order"], row["n"]): row for row in found["rows"]}
    assert set(rows) == {(o, n) for o in ("given", "random", "evidence", "diversity") for n in range(1, 6)}
    # all sentences are all sentences, in whatever order
    for order in ("given", "random", "evidence", "diversity"):
        assert rows[order, 5]["log_likelihood"]["mean"] == pytest.approx(scores.log_likelihood)
    by_hand = np.empty(len(scores.images))
    for mask in folds(scores):
        kept = ordered(scores.on(scores.images.narrowed(~mask)), "evidence")
        by_hand[mask] = scores.on(scores.images.narrowed(mask)).chosen([k[:2] for k in kept]).log_likelihoods
    assert rows["evidence", 2]["log_likelihood"]["mean"] == pytest.approx(scores.images.class_average(by_hand))
    assert rows["evidence", 2]["log_likelihood"]["mean"] > rows["random", 2]["log_likelihood"]["mean"]
    assert rows["random", 2]["accuracy"]["n_draws"] == 10
    assert found["folds"] == 5
    assert [row["filter"] for row in found["filters"]] == ["effect"]


def test_evidence_chosen_from_nonsense_gains_nothing_on_images_that_did_not_choose() -> None:
    """The winner's curse: on the images that chose them the best of many nonsense sentences look good."""
    gains, flattered = [], []
    for seed in range(8):
        world = World(noise=2.5, seed=seed)
        scores = world.scores({f"class {c}": [f"word {seed} {c} {i}" for i in range(30)] for c in range(3)})
        rows = {(row["order"], row["n"]): row["accuracy"]["mean"] for row in curve(scores, count=2)["rows"]}
        gains.append(rows["evidence", 3] - rows["random", 3])
        same = scores.chosen([kept[:3] for kept in ordered(scores, "evidence")])
        flattered.append(same.accuracy - rows["evidence", 3])
    assert np.mean(flattered) > 0


def test_diversity_begins_with_the_sentence_farthest_from_the_class_mean() -> None:
    rows = unit(np.array([[1.0, 0.1], [1.0, 0.0], [1.0, -0.1], [0.0, 1.0], [1.0, 0.05]]))
    scores = SentenceScores(WORLD.images(), ("a",), (("1", "2", "3", "4", "5"),), (rows,), 1.0)
    assert ordered(scores, "diversity")[0][:3] == [3, 2, 0]


def test_declines_name_the_sentence_after_which_the_set_is_worse() -> None:
    sentences = {**TRUE, "class 1": ["about 1 0", "about 1 1", "about 2 wrong", "about 1 3"]}
    found = declines(WORLD.scores(sentences))
    assert (found[0]["class"], found[0]["n"], found[0]["sentence"]) == ("class 1", 3, "about 2 wrong")
    assert all(row["change"] < 0 for row in found)


def test_filters_drop_what_lowers_and_what_harms_but_never_all() -> None:
    sentences = {**TRUE, "class 1": ["about 1 0", "about 1 1", "about 2 wrong", "about 1 3"]}
    scores = WORLD.scores(sentences)
    assert filtered(scores, "harmful", anywhere) == [[0, 1, 2, 3], [0, 1, 3], [0, 1, 2, 3]]
    left = filtered(scores, "effect")
    assert all(effect(scores, Place(c, j)) >= 0 for c, kept in enumerate(left) for j in kept)
    worst = WORLD.scores({**TRUE, "class 1": ["about 2 a", "about 0 b"]})
    assert all(filtered(worst, "effect"))


def test_chosen_sentences_are_a_description_set_that_says_how() -> None:
    scores = WORLD.scores(MIXED)
    found = choose_sentences(scores, n=2)
    assert found.source == "chosen on 60 training images, first 2 of each class by evidence"
    assert {len(texts) for texts in found.sentences.values()} == {2}
    assert list(found.sentences) == list(MIXED)
    best = [scores.sentences[0][j] for j in ordered(scores, "evidence")[0][:2]]
    assert found.sentences["class 0"] == tuple(best)
    dropped = choose_sentences(scores, rule="effect")
    assert dropped.source == "chosen on 60 training images, without those of filter 'effect'"
    with pytest.raises(InvalidOption, match="found 0"):
        choose_sentences(scores, n=0)


def test_the_map_is_the_principal_components_of_other_software() -> None:
    from sklearn.decomposition import PCA

    scores = WORLD.scores(MIXED)
    found = class_map(scores)
    texts = np.concatenate(scores.features)
    expected = PCA(2, svd_solver="full").fit(texts)
    points = [row for row in found["points"] if row["kind"] == "sentence"]
    own = np.array([[row["x"], row["y"]] for row in points])
    assert np.abs(own) == pytest.approx(np.abs(expected.transform(texts)), abs=1e-8)
    assert found["explained"] == pytest.approx(expected.explained_variance_ratio_.tolist())
    assert [row["kind"] for row in found["points"]][-6:] == ["prototype"] * 3 + ["images"] * 3
    assert points[0]["text"] == "about 0 0"
    assert points[0]["closest_class"] == "class 0"
