"""Notes of several seeds that differ in their counts only, as one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NUMBER = re.compile(r"\d+(?:[.,]\d+)*|\bnone(?= (?:by|of)\b)")
WORD = re.compile(r"[^\W\d_]+")
PLURALS = {"i": "are", "wa": "were", "ha": "have", "doe": "do"}
"""Verbs without their last s, as they are told of several."""
MOST_NAMED = 5


def joined_notes(by_seed: Iterable[Sequence[str]]) -> list[str]:
    """Each note once, in the order in which they come. by_seed: the notes of each seed.

    "2 images are alike", "1 image is alike" becomes "2 and 1 images are alike"; numbers that are the same everywhere
    stand once, more than five different ones as a range.
    """
    alike: dict[str, list[str]] = {}
    for notes in by_seed:
        for note in dict.fromkeys(notes):
            alike.setdefault(_shape(note), []).append(note)
    return [_joined(notes) for notes in alike.values()]


def _shape(note: str) -> str:
    """What is left of a note without its numbers and without what depends on whether they are 1."""
    return WORD.sub(_plain, NUMBER.sub("#", note))


def _plain(word: re.Match[str]) -> str:
    stem = word[0].removesuffix("s")
    return PLURALS.get(stem, stem)


def _joined(notes: Sequence[str]) -> str:
    if len(set(notes)) == 1:
        return notes[0]
    columns = list(zip(*(NUMBER.findall(note) for note in notes), strict=True))
    # the one with the largest count has its words in the plural
    frame = max(notes, key=lambda note: [_size(each) for each in NUMBER.findall(note)])
    texts = iter([_listed(column) for column in columns])
    return NUMBER.sub(lambda _: next(texts), frame)


def _listed(numbers: Sequence[str]) -> str:
    if len(set(numbers)) == 1:
        return numbers[0]
    if len(numbers) > MOST_NAMED:
        return f"{min(numbers, key=_size)} to {max(numbers, key=_size)}"
    return f"{', '.join(numbers[:-1])} and {numbers[-1]}"


def _size(number: str) -> float:
    return 0.0 if number == "none" else float(number.replace(",", ""))
