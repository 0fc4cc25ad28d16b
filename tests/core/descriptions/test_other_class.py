"""What is told of another class comes out, under whatever class name; what belongs to its class stays in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from core.descriptions.checks import check_descriptions
from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.naming import ClassNames
from core.descriptions.findings.other_class import strangers, told_by_pack
from core.descriptions.packs import get_pack, known_sentences
from tests.core.descriptions.foreign_sets import BRAIN, RETINA, SETS


def near_others(sentences: Mapping[str, Sequence[str]]) -> list[str]:
    made = DescriptionSet({name: tuple(texts) for name, texts in sentences.items()}, "me")
    return [each.sentence for each in check_descriptions(made) if each.finding == "near_other_class"]


@pytest.mark.parametrize("sentences", [BRAIN, RETINA], ids=["brain", "retina"])
def test_findings_of_another_class_come_out_by_the_pack_of_these_classes(sentences: dict[str, tuple[str, ...]]) -> None:
    found, planted = 0, 0
    names = ClassNames(list(sentences))
    for own, texts in sentences.items():
        for text in texts:
            for other in sentences:
                if other != own:
                    bad = names.without_name(text, own) + f" {other}"
                    changed = {name: list(rows) for name, rows in sentences.items()}
                    changed[own].remove(text)
                    changed[other].append(bad)
                    planted += 1
                    found += bad in near_others(changed)
    assert planted == 72
    assert found >= 0.75 * planted


def test_sentences_that_language_models_give_stay_in_where_a_pack_knows_the_classes() -> None:
    assert near_others(BRAIN) == near_others(RETINA) == []


def test_few_sentences_stay_out_wrongly_where_no_pack_knows_the_classes() -> None:
    alarms = [near_others(sentences) for name, sentences in SETS.items() if not known_sentences(list(sentences))]
    assert len(alarms) == 2
    assert sum(map(len, alarms)) <= 3


def test_a_sentence_of_a_pack_under_another_name_is_told_with_the_words_that_give_it_away() -> None:
    pack = get_pack("btmri")
    sentences = {name: list(texts) for name, texts in pack.sentences.items()}
    sentences["glioma tumor"].append("A glioma tumor has a dural tail and a broad dural base.")
    made = DescriptionSet({name: tuple(texts) for name, texts in sentences.items()}, "me")
    (found,) = [each for each in check_descriptions(made) if each.finding == "near_other_class"]
    assert found.class_name == "glioma tumor"
    assert found.detail == "tells what the built-in pack tells of 'meningioma tumor' ('broad', 'dural', 'tail')"


def test_a_pack_that_describes_most_classes_judges_these() -> None:
    pack = get_pack("dermamnist").for_classes(["melanoma", "nevus", "dermatofibroma"]).sentences
    sentences = {name: list(texts[:8]) for name, texts in pack.items()}
    names = ClassNames(list(sentences), {"nevus": ("melanocytic nevus", "mole")})
    sentences["squamous cell carcinoma"] = [f"A squamous cell carcinoma has {each} scale." for each in ("some", "hard")]
    assert set(known_sentences(list(sentences))) == set(pack)
    assert near_others(sentences) == []
    planted = [names.without_name(text, "nevus") + " melanoma" for text in pack["nevus"][8:18]]
    found = near_others(sentences | {"melanoma": [*sentences["melanoma"], *planted]})
    assert set(found) <= set(planted)
    assert len(found) >= 7


def test_a_pack_of_the_same_names_that_tells_of_other_things_does_not_judge() -> None:
    rows = [("benign", "A benign mole of even brown."), ("malignant", "A malignant mole with blue veil and streaks.")]
    pack = get_pack("busi").for_classes(["benign", "malignant"]).sentences
    swapped = {"benign": pack["malignant"], "malignant": pack["benign"]}
    own = [(name, text) for name, texts in pack.items() for text in texts]
    assert told_by_pack(own, swapped, ()) is None
    assert told_by_pack(rows, {}, ()) is None


def test_only_sentences_unlike_the_rest_of_a_class_are_strangers() -> None:
    margins = [-3.0, -2.0, -2.5, -3.5, -2.2, 6.0]
    assert strangers(margins, 4.0, 1.5) == [5]
    assert strangers(margins, 7.0, 1.5) == []
    assert strangers([3.0, 2.0, 2.5, -1.0, 6.0], 4.0, 1.5) == []


def test_names_give_way_to_a_neutral_word_with_their_articles() -> None:
    names = ClassNames(("glioma tumor", "normal brain"), {"glioma tumor": ("glioma",)})
    assert names.with_neutral_name("A glioma tumor dents the normal brain.") == "the finding dents the finding."
    assert names.with_neutral_name("Gliomas are bright.") == "the finding are bright."
