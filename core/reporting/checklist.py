"""Checklists of reporting guidelines: each item filled from records, partly filled, or a blank that a person fills.

Numbers are the guidelines' own, the words are ours: whoever submits a manuscript fills the publisher's form.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from core.errors import InvalidOption, did_you_mean

STANDARDS = ("claim", "tripod-ai", "stard-ai")
State = Literal["filled", "partly", "blank", "does not apply"]
STATES: tuple[State, ...] = ("filled", "partly", "blank", "does not apply")


@dataclass(frozen=True)
class Item:
    """An item. facts: (name, sentence) of what is known. blank: what is still to be written; "" if nothing is.

    reason: why it does not apply; "" where it does.
    """

    number: str
    asks: str
    facts: tuple[tuple[str, str], ...]
    blank: str
    reason: str

    @property
    def state(self) -> State:
        """Filled by records alone, partly, not at all, or no concern of this kind of study."""
        if self.reason:
            return "does not apply"
        if not self.facts:
            return "blank"
        return "partly" if self.blank else "filled"


@dataclass(frozen=True)
class Checklist:
    """A guideline's items with what is known of each."""

    title: str
    source: str
    items: tuple[Item, ...]

    def count(self, state: State) -> int:
        """Items in a state."""
        return sum(item.state == state for item in self.items)

    @property
    def sentence(self) -> str:
        """How far it is filled. An item counts only if nothing is left to write."""
        parts = [f"{self.count('partly')} partly", f"{self.count('blank')} blank"]
        return (
            f"{self.count('filled')} of {len(self.items)} items filled, {', '.join(parts)}, "
            f"{self.count('does not apply')} not applicable."
        )


def filled_checklist(standard: str, facts: Mapping[str, str]) -> Checklist:
    """The checklist of a standard. facts: sentences by name, "" where nothing is known. Raises InvalidOption."""
    found = read_standard(standard)
    return Checklist(found["title"], found["source"], tuple(_item(each, facts) for each in found["item"]))


def read_standard(standard: str) -> dict[str, Any]:
    """Title, source and items of a standard. Raises InvalidOption."""
    if standard not in STANDARDS:
        raise InvalidOption(
            f"A standard is one of {', '.join(STANDARDS)}",
            f"found '{standard}'",
            did_you_mean(standard, STANDARDS, "Choose one of them."),
        )
    return tomllib.loads((files("core.reporting") / "checklists" / f"{standard}.toml").read_text("utf-8"))


def _item(given: Mapping[str, Any], facts: Mapping[str, str]) -> Item:
    names: Sequence[str] = given.get("facts", ())
    known = tuple((name, facts[name]) for name in names if facts[name])
    blank, reason = given.get("person", ""), given.get("not_applicable", "")
    if not known and not blank and not reason:
        blank = "Nothing of this is recorded."
    return Item(given["number"], given["asks"], known, blank, reason)
