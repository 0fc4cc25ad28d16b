"""Class names: how a folder or label becomes a name, in which order, and which names cannot stand together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import UnreadableSource
from core.text import NAME_LENGTH, shown, text_fault

MOST_CHARACTERS = NAME_LENGTH
# Never seen and without meaning in a name; joiners (U+200C, U+200D) and the marks of right-to-left writing have one.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_UNSEEN = re.compile("[\u200c\u200d\u200e\u200f\u061c\ufe0e\ufe0f]")
_DIRECTIONS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass
class ClassNames:
    """names: {as written: class name}. refused: {as written: why}. notes: what was changed, in sentences."""

    names: dict[str, str] = field(default_factory=dict)
    refused: dict[str, UnreadableSource] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def class_name(written: str) -> str:
    """The name of a class as written, in NFC, with "_" read as a space: the names become part of prompts.

    Raises UnreadableSource for names that are empty, longer than 200 characters, or unfit (see `core.text`).
    """
    name = " ".join(unicodedata.normalize("NFC", written).translate(_INVISIBLE).replace("_", " ").split())
    if not _UNSEEN.sub("", name).strip() or len(name) > MOST_CHARACTERS or text_fault(name):
        raise UnreadableSource(
            f"A class name of 1 to {MOST_CHARACTERS} printable characters",
            f"found '{shown(written, 40)}'",
            "Rename the class.",
        )
    return name


def name_classes(written: Iterable[str]) -> ClassNames:
    """A name for each class as written; an odd one costs that class alone, never the others.

    Marks that turn the direction of text and control characters are taken out, and names that look the same (but for
    case, "_" against a space or invisible characters) become one class; both with a note.
    """
    found = ClassNames()
    first: dict[str, tuple[str, str]] = {}
    for text in sorted(set(written)):
        try:
            name = class_name(text)
        except UnreadableSource as error:
            cleaned = _cleaned(text)
            if cleaned is None:
                found.refused[text] = error
                continue
            found.notes.append(f"Characters that cannot be shown were taken out of the class name '{cleaned}'.")
            name = cleaned
        kept, before = first.setdefault(folded_name(name), (name, text))
        if before != text:
            found.notes.append(f"'{shown(before)}' and '{shown(text)}' were read as one class, '{kept}'.")
        found.names[text] = kept
    return found


def folded_name(name: str) -> str:
    """Equal for names that a person would take for the same."""
    return unicodedata.normalize("NFC", _UNSEEN.sub("", class_name(name)).casefold())


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts 'grade 2' before 'grade 10'."""
    pieces = re.split(r"([0-9]+)", text.casefold())
    return tuple((0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces if p)


def natural_order(texts: Iterable[str]) -> list[str]:
    """Sorted as people count; ties by the plain text."""
    return sorted(texts, key=lambda text: (natural_key(text), text))


def check_distinct(written: Sequence[str]) -> None:
    """Refuse class names that differ only in case, in "_" against space, or in how accents are encoded."""
    seen: dict[str, str] = {}
    for name in written:
        folded = folded_name(name)
        if folded in seen and seen[folded] != name:
            raise UnreadableSource(
                "Class names that differ in more than case, underscores or accents' encoding",
                f"found '{seen[folded]}' and '{name}'",
                "Give each class one spelling.",
            )
        seen[folded] = name


def _cleaned(written: str) -> str | None:
    """The name without characters that are never shown, or None if it is still unfit."""
    try:
        return class_name(_DIRECTIONS.sub("", written))
    except UnreadableSource:
        return None
