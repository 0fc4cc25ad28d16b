"""Items of guidelines: all there, each with a known fact, and never filled where something is left to write."""

from __future__ import annotations

import pytest

from core.errors import InvalidOption
from core.reporting.checklist import STANDARDS, STATES, filled_checklist, read_standard
from core.reporting.facts import FACTS, SECTIONS
from core.reporting.study_page import PARTS

ITEMS = {"claim": 44, "tripod-ai": 52, "stard-ai": 48}


@pytest.mark.parametrize("standard", STANDARDS)
def test_each_item_is_there_once_and_asks_for_known_facts(standard):
    items = read_standard(standard)["item"]
    numbers = [item["number"] for item in items]
    assert len(set(numbers)) == len(numbers) == ITEMS[standard]
    for item in items:
        assert set(item.get("facts", ())) <= set(FACTS), item["number"]
        assert item.get("facts") or item.get("person") or item.get("not_applicable"), item["number"]
        assert item["asks"]


def test_every_fact_is_asked_for_and_leads_somewhere():
    asked = {
        name for standard in STANDARDS for item in read_standard(standard)["item"] for name in item.get("facts", ())
    }
    assert asked == set(FACTS)
    assert set(SECTIONS) <= set(FACTS)
    assert set(SECTIONS.values()) <= set(PARTS)


def test_an_item_counts_only_if_nothing_is_left_to_write():
    facts = dict.fromkeys(FACTS, "Known.")
    found = {item.number: item for item in filled_checklist("claim", facts).items}
    assert (found["9"].state, found["1"].state, found["44"].state) == ("filled", "partly", "blank")
    assert found["27"].state == "does not apply"
    assert found["1"].blank == "The title of the article."
    without = filled_checklist("claim", facts | {"preprocessing": ""})
    (unknown,) = [item for item in without.items if item.number == "9"]
    assert (unknown.state, unknown.blank) == ("blank", "Nothing of this is recorded.")
    assert without.count("filled") == filled_checklist("claim", facts).count("filled") - 1


@pytest.mark.parametrize("standard", STANDARDS)
def test_states_add_up_and_the_sentence_says_so(standard):
    empty = filled_checklist(standard, dict.fromkeys(FACTS, ""))
    assert empty.count("filled") == empty.count("partly") == 0
    assert sum(empty.count(state) for state in STATES) == len(empty.items)
    assert empty.sentence.startswith(f"0 of {ITEMS[standard]} items filled, 0 partly, ")


def test_an_unknown_standard_is_refused_with_the_known_ones():
    with pytest.raises(InvalidOption, match="claim, tripod-ai, stard-ai; found 'tripod'"):
        filled_checklist("tripod", {})
