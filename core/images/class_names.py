"""Class names: how a folder or label becomes a name, in which order, and which names cannot stand together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from core.errors import UnreadableSource

MOST_CHARACTERS = 200


def class_name(written: str) -> str:
    """The name of a class as written, in NFC, with "_" read as a space: the names become part of prompts.

    Raises UnreadableSource for names that are empty, longer than 200 characters or hold control characters.
    """
    name = " ".join(unicodedata.normalize("NFC", written).replace("_", " ").split())
    if not name or len(name) > MOST_CHARACTERS or not name.isprintable():
        shown = "".join(c if c.isprintable() else "?" for c in written)[:40]
        raise UnreadableSource(
            f"A class name of 1 to {MOST_CHARACTERS} printable characters", f"found '{shown}'", "Rename the class."
        )
    return name


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts 'grade 2' before 'grade 10'."""
    pieces = re.split(r"([0-9]+)", text.casefold())
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pieces if p)


def natural_order(texts: Iterable[str]) -> list[str]:
    """Sorted as people count; ties by the plain text."""
    return sorted(texts, key=lambda text: (natural_key(text), text))


def check_distinct(written: Sequence[str]) -> None:
    """Refuse class names that differ only in case, in "_" against space, or in how accents are encoded."""
    seen: dict[str, str] = {}
    for name in written:
        folded = unicodedata.normalize("NFC", class_name(name).casefold())
        if folded in seen and seen[folded] != name:
            raise UnreadableSource(
                "Class names that differ in more than case, underscores or accents' encoding",
                f"found '{seen[folded]}' and '{name}'",
                "Give each class one spelling.",
            )
        seen[folded] = name
