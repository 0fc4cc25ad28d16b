"""The Train page's script knows what the project has: methods, kinds of options, stages."""

from __future__ import annotations

import re

import pytest

from app.ui.layout import STATIC_DIR
from app.ui.train import PAGE
from core.tuning.method_cards import baseline_method, starter_method
from core.tuning.progress import Progress
from core.tuning.registry import get_method, method_names

# What method-form.js has a control for; every other kind would be sent as text.
KINDS = {"int", "float", "bool", "str"}


def script(name: str) -> str:
    """The text of one of our scripts."""
    return (STATIC_DIR / "js" / name).read_text("utf-8")


def test_the_page_says_that_it_may_be_closed() -> None:
    assert PAGE.href == "/train"
    assert PAGE.lead.endswith("You can close this page at any time: training goes on.")


def test_three_methods_say_that_they_are_offered_first() -> None:
    cards = [get_method(name).card() for name in method_names()]
    first = sorted((card for card in cards if card["starter"]), key=lambda card: card["starter_place"])
    assert [(card["starter_place"], card["starter"], card["name"]) for card in first] == [
        (1, "Quick", "coop"),
        (2, "With texts", "biomed_dpt"),
        (3, "Baseline", "linear_probe"),
    ]
    assert starter_method() == "coop"


def test_one_method_says_that_it_is_the_baseline() -> None:
    assert [name for name in method_names() if get_method(name).is_baseline] == [baseline_method()] == ["zero_shot"]


@pytest.mark.parametrize("name", method_names())
def test_the_form_has_a_control_for_each_option_of_each_method(name: str) -> None:
    assert {row["type"] for row in get_method(name).Config.schema()} <= KINDS


def test_every_stage_of_a_training_has_words_in_the_order_it_happens() -> None:
    table = re.search(r"export const STAGES = \[(.*?)\n\];", script("job-words.js"), re.DOTALL)
    assert table
    named = re.findall(r'"(\w+)"', (Progress.__doc__ or "").split("done, total")[0])
    assert re.findall(r'\["(\w+)", "', table[1]) == named
