"""The words by which folders, columns and file names mean a part of a set."""

from __future__ import annotations

from core.images.labelled_image import Part

PART_WORDS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def part_of(word: str) -> Part | None:
    """The part a folder name or a split cell means, or None."""
    return PART_WORDS.get(word.strip().casefold())
