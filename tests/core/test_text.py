"""One rule for texts at every boundary."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.text import fit_name, fit_text, shown, storable, text_fault

HOSTILE = {
    "a\x00b": "found a control character (U+0000) at character 2",
    "a\nb": "found a control character (U+000A) at character 2",
    "tab\tbed": "found a control character (U+0009) at character 4",
    "\x1b[31mred": "found a control character (U+001B) at character 1",
    "a\x85b": "found a control character (U+0085) at character 2",
    "a\u2028b": "found a line break (U+2028) at character 2",
    "half \ud800": "found half of a surrogate pair (U+D800) at character 6",
    "\udfff": "found half of a surrogate pair (U+DFFF) at character 1",
    "benign\u202egnp.exe": "found a mark that turns the direction of text (U+202E) at character 7",
    "\u2066x\u2069": "found a mark that turns the direction of text (U+2066) at character 1",
    "x\ufffe": "found a place without a character (U+FFFE) at character 2",
}


@pytest.mark.parametrize(("text", "found"), HOSTILE.items())
def test_unfit_texts_are_refused_with_the_place(text: str, found: str) -> None:
    assert text_fault(text) == found
    with pytest.raises(InvalidInput) as refused:
        fit_name(text)
    assert refused.value.found == found
    assert refused.value.sentence.startswith("A name without control characters, marks of direction")


@pytest.mark.parametrize(
    "text",
    [
        "melanocytic nevus",
        "Zügige Läsion",
        "می‌خواهم",
        "क्‍ष",
        "👩🏽‍⚕️ clinic",
        "שלום",
        "良性 腫瘍",
        "a\u00a0b",
        "\U000e0067",
    ],
)
def test_texts_of_every_language_stay(text: str) -> None:
    assert fit_name(text) == text


def test_text_is_kept_in_one_spelling_without_spaces_around_it() -> None:
    assert fit_name("  cafe\u0301 ") == "caf\u00e9"


def test_line_breaks_are_kept_only_where_several_lines_are_meant() -> None:
    assert fit_text("one\r\ntwo\rthree\n", lines=True) == "one\ntwo\nthree"
    with pytest.raises(InvalidInput, match="at character 4"):
        fit_text("one\ntwo")
    with pytest.raises(InvalidInput, match=r"U\+0000"):
        fit_text("one\n\x00", lines=True)


def test_length_is_counted_in_the_spelling_that_is_kept() -> None:
    assert len(fit_name("e\u0301" * 200)) == 200
    with pytest.raises(InvalidInput, match="at most 200 characters; found 201"):
        fit_name("x" * 201)
    with pytest.raises(InvalidInput, match="found 201"):
        fit_name("\U0001d160" * 67)  # three characters each in NFC


def test_an_empty_text_is_refused_unless_it_may_be() -> None:
    with pytest.raises(InvalidInput, match="1 to 200 characters; found none"):
        fit_name(" \u3000 ")
    assert fit_text("  ", may_be_empty=True) == ""


def test_any_text_can_be_shown() -> None:
    assert shown("a\x00\ud800\u202e\nb") == "a\ufffd\ufffd\ufffd\ufffdb"
    assert shown("x" * 300) == "x" * 197 + "..."


def test_values_for_json_hold_no_half_characters_anywhere() -> None:
    assert storable({"a\ud800": ["b\x00", ("c\udfff", 1, None)]}) == {"a\ufffd": ["b\ufffd", ["c\ufffd", 1, None]]}
