"""Trees that stand in a source twice, as some sets are zipped: `cell_images/cell_images/a` beside `cell_images/a`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from core.images.archive import RefusedFile
from core.images.source import Source

_COMPARED = 20


def without_copies(names: Sequence[str], source: Source) -> tuple[list[str], list[str]]:
    """The names without those of a folder that repeats what lies around it, and a note for each such folder.

    A folder is a copy if every file in it stands at the same place outside it too, and a sample of them has the same
    bytes.
    """
    known, notes = dict.fromkeys(names), []
    below = _names_below(names)
    for folder in sorted(below, key=lambda folder: (folder.count("/"), folder)):
        inside = [name for name in below[folder] if name in known]
        original = _original(folder, inside, known, source) if inside else None
        if original is not None:
            for name in inside:
                del known[name]
            where = f"'{original.rstrip('/')}'" if original else "the folder around it"
            notes.append(f"'{folder.rstrip('/')}' repeats files of {where} and was left out.")
    return list(known), notes


def _names_below(names: Sequence[str]) -> dict[str, list[str]]:
    """{folder ending in "/": all names below it}."""
    below: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            below["/".join(parts[:depth]) + "/"].append(name)
    return below


def _original(folder: str, inside: Sequence[str], known: Collection[str], source: Source) -> str | None:
    """The folder around this one, as "a/" or "", in which all its files stand too; None if there is none."""
    above = folder.rstrip("/").split("/")[:-1]
    for depth in range(len(above), -1, -1):
        around = "".join(f"{part}/" for part in above[:depth])
        twins = ((name, around + name.removeprefix(folder)) for name in inside)
        if all(twin in known and not twin.startswith(folder) for _, twin in twins):
            pairs = {name: around + name.removeprefix(folder) for name in inside}
            return around if _are_equal(pairs, source) else None
    return None


def _are_equal(twins: dict[str, str], source: Source) -> bool:
    sample = sorted(twins)[:: max(1, len(twins) // _COMPARED)][:_COMPARED]
    return all(_content(name, source) == _content(twins[name], source) for name in sample)


def _content(name: str, source: Source) -> bytes | None:
    """The bytes of a file; None for one that cannot be read, in the copy as in the original."""
    try:
        return source.read(name)
    except RefusedFile:
        return None
