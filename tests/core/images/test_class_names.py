"""Class names from every language, and odd ones that cost nobody else anything."""

from __future__ import annotations

import pytest

from core.errors import UnreadableSource
from core.images.class_names import class_name, name_classes, natural_order


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\U0001f468\u200d\u2695\ufe0f",
        "mm\u00b2",
    ],
)
def test_names_that_need_joiners_are_kept(name: str) -> None:
    assert class_name(name) == name


@pytest.mark.parametrize("name", ["", " _ ", "\u200d", "x" * 201, "a\x00b", "a\u202eb", "a\ud800b"])
def test_unfit_names_are_refused(name: str) -> None:
    with pytest.raises(UnreadableSource, match="A class name of 1 to 200 printable characters"):
        class_name(name)


def test_odd_names_are_cleaned_merged_or_refused_one_by_one() -> None:
    found = name_classes(["benign", "Benign", "a_b", "a b", "x\u202ey", "z" * 300, "be\u200bnign"])
    assert found.names == {
        "benign": "Benign",
        "Benign": "Benign",
        "be\u200bnign": "Benign",
        "a_b": "a b",
        "a b": "a b",
        "x\u202ey": "xy",
    }
    assert list(found.refused) == ["z" * 300]
    assert found.notes == [
        "'a b' and 'a_b' were read as one class, 'a b'.",
        "'Benign' and 'benign' were read as one class, 'Benign'.",
        "'Benign' and 'be\u200bnign' were read as one class, 'Benign'.",
        "Characters that cannot be shown were taken out of the class name 'xy'.",
    ]


def test_superscripts_and_other_digits_do_not_break_the_order() -> None:
    assert natural_order(["3\u00b2", "10", "2", "\u0663"]) == ["2", "3\u00b2", "10", "\u0663"]
