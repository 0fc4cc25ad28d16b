"""Sentences that seem to tell of another class, whatever class they name."""

from __future__ import annotations

from dataclasses import replace

from core.descriptions.evidence.replacement import replacement_tests
from core.descriptions.evidence.scores import Place, SentenceScores, nameless_text
from core.descriptions.evidence.sentences import weigh_sentences
from core.descriptions.evidence.suspects import suspects
from tests.core.descriptions.evidence.worlds import World, anywhere

WORLD = World(noise=2.0)
NAMED = {f"class {c}": [f"CLASS {c}: about {c} {i}" for i in range(6)] for c in range(3)}
PLANTED = "CLASS 0: about 2 planted"


def scores_with(planted: str | None = PLANTED) -> SentenceScores:
    texts = {name: list(own) for name, own in NAMED.items()}
    if planted:
        texts["class 0"][3] = planted
    return WORLD.scores(texts).with_nameless(WORLD.encode)


def test_the_name_of_a_sentences_class_is_left_out_and_no_other_one() -> None:
    assert nameless_text("A glioma tumor is darker than a meningioma.", "glioma tumor") == (
        "the finding is darker than a meningioma."
    )
    assert nameless_text("Round and dark.", "glioma tumor") == "Round and dark."


def test_a_sentence_of_another_class_is_suspected_though_it_names_its_own() -> None:
    scores = scores_with()
    assert scores.closest_class(Place(0, 3)) == "class 0"
    expected = [None] * 18
    expected[3] = "class 2"
    assert suspects(scores) == expected
    assert suspects(scores_with(None)) == [None] * 18
    rows = weigh_sentences(scores, anywhere)
    assert [row.suspect_class for row in rows] == expected


def test_it_is_harmful_by_what_it_tells_beside_its_name() -> None:
    scores, place = scores_with(), Place(0, 3)
    row = weigh_sentences(scores, anywhere)[3]
    assert row.verdict == "harmful"
    assert row.reason.startswith("What it tells fits images of 'class 2' better than those of its class")
    named = replacement_tests(replace(scores, nameless=None), anywhere)[scores.places.index(place)]
    assert replacement_tests(scores, anywhere)[scores.places.index(place)].p_margin < 0.1 * named.p_margin


def test_what_every_class_says_of_itself_is_judged_with_the_name() -> None:
    same = {name: [*own[:5], f"A picture of {name}."] for name, own in NAMED.items()}
    scores = WORLD.scores(same).with_nameless(WORLD.encode)
    assert scores.said_of_several == {"A picture of the finding."}
    text, name, feature = scores.told(Place(1, 5))
    assert (text, name) == ("A picture of class 1.", "class 1")
    assert (feature == scores.feature(Place(1, 5))).all()
    assert scores.told(Place(1, 0))[:2] == ("the finding: about 1 0", "the finding")


def test_few_sentences_and_sets_without_such_features_are_not_judged() -> None:
    scores = scores_with()
    assert suspects(replace(scores, nameless=None)) == [None] * 18
    four, three = (scores.chosen([kept] * 3) for kept in ([0, 1, 2, 3], [1, 2, 3]))
    assert three.nameless is not None
    assert suspects(four) == [None] * 3 + ["class 2"] + [None] * 8
    assert suspects(three) == [None] * 9
    assert scores.with_sentence(Place(0, 0), "about 0 new", WORLD.encode).nameless is None


def test_sentences_of_which_neither_images_nor_wording_know_the_class_are_not_judged() -> None:
    nonsense = {f"class {c}": [f"CLASS {c}: word {c} {i}" for i in range(6)] for c in range(3)}
    assert suspects(WORLD.scores(nonsense).with_nameless(WORLD.encode)) == [None] * 18
    beside = {name: [*NAMED[name], *own[:2]] for name, own in nonsense.items()}
    beside["class 0"][3] = PLANTED
    assert [name for name in suspects(WORLD.scores(beside).with_nameless(WORLD.encode)) if name][:1] == ["class 2"]


def test_what_two_of_four_classes_say_of_themselves_is_judged_without_the_name() -> None:
    world = World(classes=4, noise=2.0)
    texts = {f"class {c}": [f"CLASS {c}: about {c} {i}" for i in range(6)] for c in range(4)}
    texts["class 0"][3] = texts["class 2"][0].replace("CLASS 2", "CLASS 0")
    shared = {name: [text.replace(f"CLASS {name[-1]}", name) for text in own] for name, own in texts.items()}
    scores = world.scores(shared).with_nameless(world.encode)
    assert nameless_text(shared["class 0"][3], "class 0") == nameless_text(shared["class 2"][0], "class 2")
    assert scores.said_of_several == frozenset()
    assert scores.told(Place(0, 3))[1] == "the finding"
