"""Checks of class descriptions: planted bad sentences come out, clean ones stay in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from core.descriptions.checks import check_descriptions
from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.cut import token_counts
from core.descriptions.findings.finding import KINDS, Finding
from core.descriptions.findings.naming import ClassNames
from tests.builders import tiny_backbone

TREATMENT = (
    "A glioma is usually treated with surgery.",
    "A glioma responds to radiotherapy and temozolomide chemotherapy.",
    "Steroids reduce the swelling around a glioma.",
    "A glioma can be managed with watchful waiting.",
    "Antibiotics are prescribed when a glioma is mistaken for an abscess.",
    "A glioma is removed by a surgeon.",
    "A glioma may need medication that lowers pressure.",
    "The glioma was surgically excised.",
    "Follow-up scans of a glioma are taken every three months.",
    "Doctors recommend lifestyle changes to people who have a glioma.",
)
SYMPTOMS = (
    "A glioma often causes headaches and nausea.",
    "A glioma leads to seizures in many people.",
    "A glioma can be painless for years.",
    "A glioma is asymptomatic at first.",
    "Weakness of one arm points to a glioma.",
    "A glioma brings loss of vision and fatigue.",
    "Someone who has a glioma may feel dizzy.",
    "A glioma is accompanied by fever and cough.",
    "Itching is seldom linked to a glioma.",
    "Difficulty speaking is typical of a glioma.",
)
UNSEEN = (
    "A glioma is linked to mutations of a gene called IDH.",
    "A family history makes a glioma more likely.",
    "A glioma has a poor prognosis and short survival.",
    "The incidence of glioma rises with age.",
    "A glioma is the most common type of brain cancer.",
    "A biopsy confirms the glioma.",
    "A glioma is slow-growing.",
    "Smoking is no proven risk factor of a glioma.",
    "Laboratory results are normal when a glioma is present.",
    "A glioma recurs after some months.",
    "A glioma is diagnosed by a radiologist.",
    "Men have a glioma more often than women.",
)
NEGATED = (
    "A glioma without calcification.",
    "The glioma has no sharp border.",
    "A glioma with absence of a dural tail.",
    "A glioma lacks a capsule.",
    "The glioma is free of calcium.",
    "A glioma is irregular rather than round.",
    "A glioma does not touch the skull.",
    "This glioma isn't bright.",
    "A glioma shows neither fat nor calcium.",
    "A glioma, unlike an abscess, has a thick wall.",
    "A glioma devoid of vessels inside.",
    "The cyst of this glioma is absent here.",
)
FOREIGN = (
    "Ein Gliom ist eine unscharf begrenzte Masse (glioma) mit Ödem.",
    "Un glioma es una masa irregular con edema en el cerebro.",
    "Le glioma est une masse irrégulière dans le cerveau.",
    "Il glioma è una massa irregolare con edema nel cervello.",
    "Glioma 是脑内边界不清的肿块，伴有水肿。",
    "Глиома glioma это нечёткое образование в мозге.",
)
CLEAN = (
    "A glioma is an ill-defined mass inside the white matter.",
    "Finger-like oedema surrounds the glioma.",
    "The glioma pushes the midline to the other side.",
    "A ring of bright signal encloses a dark centre of the glioma.",
    "Gliomas spread along the corpus callosum in a butterfly shape.",
    "The glioma looks like a painted patch with radiating strands.",
    "Tiny flow voids cross the glioma as dark dots.",
    "Sulci beside the glioma are effaced.",
    "Surgical clips lie beside the cavity in which the glioma stood.",
    "A glioma blurs the border between grey and white matter.",
    "Blood products darken parts of the glioma.",
    "The cyst of the glioma holds a nodule at its wall.",
    "A hazy bright glioma thickens the cortex of the left temporal lobe.",
    "Compressed ventricles lie next to the glioma.",
    "A glioma the size of a walnut, mottled and lobulated.",
    "Sjögren described the speckled look that this glioma has.",
    "Loss of the normal folds marks the place of the glioma.",
    "A glioma crossing the midline distorts both frontal horns.",
)
OTHER = (
    "A meningioma sits on the dura with a broad base.",
    "Bright, even enhancement fills the meningioma.",
    "A dural tail runs away from the meningioma.",
    "The meningioma presses on the brain's surface from outside.",
)


def kinds_of(texts: Sequence[str]) -> list[set[str]]:
    """The kinds found in each sentence about a glioma, in a set with clean ones."""
    found = check_descriptions(DescriptionSet({"glioma": (*texts, *CLEAN), "meningioma": OTHER}, "me"))
    return [{each.finding for each in found if each.sentence == text} for text in texts]


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (TREATMENT, "not_visible"),
        (SYMPTOMS, "not_visible"),
        (UNSEEN, "not_visible"),
        (NEGATED, "negated"),
        (FOREIGN, "language"),
    ],
)
def test_every_planted_sentence_comes_out(planted: tuple[str, ...], kind: str) -> None:
    missed = [text for text, kinds in zip(planted, kinds_of(planted), strict=True) if kind not in kinds]
    assert missed == []


def test_clean_sentences_stay_in() -> None:
    found = check_descriptions(DescriptionSet({"glioma": CLEAN, "meningioma": OTHER}, "me"))
    assert found == []


def test_repeats_are_found_in_whatever_case_punctuation_and_order() -> None:
    planted = ("A glioma is round and bright.", "a GLIOMA is bright, and round", "Bright and round is a glioma!")
    assert kinds_of(planted) == [{"duplicate"}] * 3


def test_words_of_opposite_meaning_keep_sentences_apart_that_hold_the_same_words() -> None:
    planted = ("A glioma has a bright rim and a dark centre.", "A glioma has a dark rim and a bright centre.")
    assert kinds_of(planted) == [{"near_duplicate"}] * 2


def test_sentences_that_differ_in_a_word_or_two_are_nearly_the_same() -> None:
    planted = (
        "The glioma is an irregular bright mass with surrounding oedema in the left frontal lobe.",
        "A glioma: irregular bright mass, surrounding edema in the frontal lobe.",
    )
    found = check_descriptions(DescriptionSet({"glioma": (*planted, *CLEAN)}, "me"))
    assert [each.finding for each in found] == ["near_duplicate"] * 2
    assert found[0].detail == f"says nearly the same as '{planted[1]}' of 'glioma'"


def test_a_sentence_dealt_to_another_class_with_the_name_swapped_is_nearly_the_same() -> None:
    sentences = {"glioma": ("A bright mass with a tail is the glioma.",), "cyst": ("The cyst is a bright mass, tail.",)}
    found = check_descriptions(DescriptionSet(sentences, "me"))
    assert Counter(each.finding for each in found)["near_duplicate"] == 2


def test_near_repeats_are_found_as_by_comparing_all_pairs() -> None:
    from core.descriptions.findings.repeats import SAME_WORDS, alike, sentence_key
    from core.descriptions.findings.words import content

    texts = [*CLEAN, *(text.replace("bright", "pale") for text in CLEAN), *(f"{text} Softly." for text in CLEAN)]
    found = [frozenset(content(text)) for text in texts]

    def is_alike(one: int, other: int) -> bool:
        share = len(found[one] & found[other]) / len(found[one] | found[other])
        return share >= SAME_WORDS and sentence_key(texts[one]) != sentence_key(texts[other])

    places = range(len(texts))
    expected = [any(is_alike(one, other) for other in places if other != one) for one in places]
    assert [other is not None for other in alike(texts)] == expected
    assert any(expected)


@pytest.mark.parametrize(
    ("name", "text", "is_named"),
    [
        ("glioma tumor", "A glioma inside the brain.", True),
        ("glioma tumor", "Tumours of the glioma kind.", True),
        ("glioma tumor", "A tumor inside the brain.", False),
        ("Brain glioma", "The glioma is bright.", True),
        ("kidney cyst", "A cyst in the kidney.", True),
        ("normal brain", "A brain of normal shape.", True),
        ("normal brain", "The ventricles are normal.", False),
        ("melanocytic nevus", "Melanocytic naevi are evenly brown.", True),
        ("tumour_epithelium", "Epithelium of a tumor.", True),
        ("no lesion", "A scan with no lesion.", True),
        ("no lesion", "A scan with a lesion.", False),
        ("moderate arthrosis", "A moderate effusion.", False),
    ],
)
def test_a_class_is_named_by_its_words_in_any_order_number_and_spelling(name: str, text: str, is_named: bool) -> None:
    names = ClassNames((name, "meningioma tumor", "ring shaped lesion", "mild arthrosis", "healthy brain"))
    assert (name in names.named(text)) is is_named


def test_aliases_name_a_class_too() -> None:
    names = ClassNames(("nv", "mel"), {"nv": ("melanocytic nevus",)})
    assert names.named("A melanocytic nevus with a regular network.") == ["nv"]


def test_the_name_of_a_class_is_neither_negation_nor_treatment() -> None:
    sentences = {
        "no lesion": ("A scan with no lesion and even grey values.",),
        "post-treatment change": ("A post-treatment change with a dark rim.",),
    }
    assert check_descriptions(DescriptionSet(sentences, "me")) == []


def test_a_sentence_that_names_only_another_class_is_near_that_one() -> None:
    sentences = {"glioma": ("A meningioma dents the frontal pole.", *CLEAN), "meningioma": OTHER}
    found = check_descriptions(DescriptionSet(sentences, "me"))
    assert [(each.finding, each.detail) for each in found] == [
        ("class_missing", "does not name its class"),
        ("near_other_class", "names 'meningioma' and not its own class"),
    ]


def test_one_sentence_has_one_finding_of_a_kind_that_says_all_topics() -> None:
    text = "A glioma needs surgery and causes headaches."
    assert check_descriptions(DescriptionSet({"glioma": (text,)}, "me")) == [
        Finding(
            "glioma",
            text,
            "not_visible",
            "speaks of treatment ('needs', 'surgery') and symptoms ('headaches'), which no image shows",
        )
    ]


def test_sentences_that_say_too_little_or_too_much_are_found() -> None:
    planted = ("Glioma.", "A glioma " + ", ".join(f"spot {i}" for i in range(40)) + ".")
    assert kinds_of(planted) == [{"length"}, {"length"}]


def test_a_sentence_of_its_class_name_alone_says_nothing() -> None:
    found = check_descriptions(DescriptionSet({"basal cell carcinoma": ("Basal cell carcinoma.",)}, "me"))
    assert [(each.finding, each.detail) for each in found] == [("length", "says its class's name and nothing else")]


def test_the_words_that_a_text_tower_does_not_read_are_said() -> None:
    backbone = tiny_backbone("clip-causal")
    text = "a glioma " + "round " * 90 + "with a last word"
    (count,) = token_counts([text], backbone)
    kept = text.removesuffix(count.lost)
    assert count.limit == 77 < count.tokens
    assert count.lost.endswith("round with a last word")
    assert backbone.count_tokens([kept])[0] <= 77 < backbone.count_tokens([f"{kept} round"])[0]


def test_every_kind_has_words_for_people() -> None:
    found = check_descriptions(DescriptionSet({"glioma": (*TREATMENT, *NEGATED, *FOREIGN, "Dark spot.")}, "me"))
    assert {each.finding for each in found} <= KINDS.keys()
