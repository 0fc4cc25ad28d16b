"""The built-in packs: each passes every check, says who wrote it, and finds the image sets it fits."""

from __future__ import annotations

from collections import Counter

import pytest

from core.backbones.text_lengths import TextLengths
from core.descriptions.checks import check_descriptions
from core.descriptions.findings.repeats import sentence_key
from core.descriptions.modalities import contradict
from core.descriptions.packs import Pack, find_pack, fitting, get_pack, known_names, known_sentences, packs
from core.errors import ClassMismatch, NotFound
from tests.builders import tiny_backbone

BENCHMARK = {
    "btmri": 4, "busi": 3, "chmnist": 8, "covid_19": 4, "ctkidney": 4, "dermamnist": 7, "kneexray": 5, "kvasir": 8,
    "lungcolon": 5, "octmnist": 4, "retina": 4,
}  # fmt: skip
FEWEST_SENTENCES = 30

each_pack = pytest.mark.parametrize("pack", packs(), ids=lambda pack: pack.name)


def test_there_is_a_pack_for_each_benchmark_set_and_the_demo() -> None:
    assert {pack.name: len(pack.sentences) for pack in packs()} == BENCHMARK | {"demo": 4}


@each_pack
def test_a_pack_passes_every_check(pack: Pack) -> None:
    assert check_descriptions(pack.descriptions, TextLengths("embedded"), tiny_backbone("clip-causal")) == []


@each_pack
def test_each_class_has_thirty_different_sentences_of_its_own(pack: Pack) -> None:
    keys = Counter(sentence_key(text) for texts in pack.sentences.values() for text in texts)
    assert set(keys.values()) == {1}
    assert min(len(texts) for texts in pack.sentences.values()) >= FEWEST_SENTENCES
    assert max(len(text.split()) for texts in pack.sentences.values() for text in texts) <= 30


@each_pack
def test_a_pack_says_that_nobody_reviewed_it(pack: Pack) -> None:
    assert pack.status == "machine-drafted, unreviewed"
    assert pack.note == "Drafted by a language model, not reviewed by a clinician."
    assert pack.licence == "Apache-2.0"


@each_pack
def test_each_name_of_a_class_leads_to_it_alone(pack: Pack) -> None:
    for own, aliases in pack.aliases.items():
        assert [pack.matched([name]) for name in (own, *aliases)] == [{name: own} for name in (own, *aliases)]


@pytest.mark.parametrize(
    ("classes", "pictures", "expected"),
    [
        (["glioma tumor", "meningioma tumor", "normal brain", "pituitary tumor"], "brain MRI", "btmri"),
        (["notumor", "pituitary", "Glioma", "meningioma"], None, "btmri"),
        (["01_TUMOR", "02_STROMA", "07_ADIPOSE"], None, "chmnist"),
        (["dyed-lifted-polyps", "normal-z-line", "polyps"], None, "kvasir"),
        (["lung_n", "lung_scc", "colon_aca"], None, "lungcolon"),
        (["NV", "MEL", "BCC"], "Dermoscopy", "dermamnist"),
        (["CNV", "DME", "DRUSEN", "NORMAL"], None, "octmnist"),
        (["0Normal", "1Doubtful", "2Mild", "3Moderate", "4Severe"], "X-rays of the knee", "kneexray"),
        (["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"], None, "covid_19"),
        (["Cyst", "Normal", "Stone", "Tumor"], "CT", "ctkidney"),
        (["bright round lesion", "dark irregular lesion", "no lesion", "ring shaped lesion"], "drawn scan", "demo"),
    ],
)
def test_classes_under_their_usual_names_find_their_pack(
    classes: list[str], pictures: str | None, expected: str
) -> None:
    assert [pack.name for pack in fitting(classes, pictures)] == [expected]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (None, ["busi"]),
        ("hospital images of 2021", ["busi"]),
        ("B-mode", ["busi"]),
        ("US", ["busi"]),
        ("sonograms of the breast", ["busi"]),
        ("dermatoscopy", []),
        ("skin", []),
        ("skin_lesions_v2", []),
        ("thyroid ultrasound", []),
        ("mammograms", []),
        ("breast histopathology", []),
    ],
)
def test_the_same_class_names_on_other_pictures_are_offered_no_pack(pictures: str | None, expected: list[str]) -> None:
    assert [pack.name for pack in fitting(["benign", "malignant"], pictures)] == expected
    assert bool(known_sentences(["benign", "malignant"], pictures)) == bool(expected)


def test_packs_of_other_pictures_contradict_each_other_and_none_itself() -> None:
    for one in packs():
        assert not contradict(one.pictures, one.pictures)
        assert not contradict(one.modality, one.pictures)
    pairs = [
        {a.name, b.name} for a in packs() for b in packs() if a is not b and not contradict(a.pictures, b.pictures)
    ]
    assert {"chmnist", "lungcolon"} in pairs
    assert all(pair == {"chmnist", "lungcolon"} for pair in pairs)


def test_packs_of_other_classes_do_not_fit() -> None:
    assert fitting(["glioma", "abscess"]) == []
    assert fitting(["glioma", "glioma tumor"]) == []
    assert fitting([]) == []


def test_a_pack_gives_its_sentences_under_the_names_of_the_images() -> None:
    found = get_pack("pack:btmri").for_classes(["notumor", "glioma"])
    assert list(found.sentences) == ["notumor", "glioma"]
    assert found.sentences["notumor"] == get_pack("btmri").sentences["normal brain"]
    assert found.source == "pack:btmri"
    assert "normal brain" in known_names(["notumor", "glioma"])["notumor"]
    assert check_descriptions(found) == []
    assert {each.finding for each in check_descriptions(found, aliases={})} == {"class_missing"}


def test_classes_a_pack_does_not_describe_are_refused() -> None:
    with pytest.raises(ClassMismatch, match="the images have glioma, abscess"):
        get_pack("btmri").for_classes(["glioma", "abscess"])


def test_packs_are_found_by_other_names_too_and_misspelt_ones_are_answered() -> None:
    assert get_pack("LC25000").name == "lungcolon"
    assert get_pack("COVID-QU-Ex").name == "covid_19"
    assert find_pack("mine") is None
    with pytest.raises(NotFound, match="Did you mean 'kvasir'"):
        get_pack("kvasri")
