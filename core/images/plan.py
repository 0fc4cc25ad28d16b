"""What to load from a source: each file with class, part, group and masks. Tables and folders both end in a plan."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.images.labelled_image import Part, Problem
from core.images.masks import is_below_masks
from core.images.parts import part_of


@dataclass(frozen=True)
class Entry:
    """One file to load. key: its name in the source. name: for people. masks: keys of its masks."""

    key: str
    name: str
    label: int
    part: Part | None
    group: str | None = None
    masks: tuple[str, ...] = ()


@dataclass
class Plan:
    """What to load. Entries stand in file order; a part of None is to be held out from later.

    grouped_by: the column that the groups come from.
    """

    classes: list[str]
    entries: list[Entry]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    grouped_by: str | None = None


def wrapping_folder(names: Sequence[str]) -> str:
    """ "a/b/" if every file but masks lies in these folders and none is a part or a class; else ""."""
    top = _outer_folder(names)
    if top and all(name.startswith(top) for name in names):
        return top + wrapping_folder([name.removeprefix(top) for name in names])
    return top


def _outer_folder(names: Sequence[str]) -> str:
    common = common_folder(names)
    rest = [name for name in names if _is_listing(name) or not is_below_masks(name.removeprefix(common))]
    tops = {PurePosixPath(n).parts[0] if "/" in n else "" for n in rest}
    top = next(iter(tops)) if len(tops) == 1 else ""
    if not top or part_of(top) is not None:
        return ""
    is_deep = any(len(PurePosixPath(n).parts) > 2 for n in rest)
    holds_listing = any(map(_is_listing, rest))
    return f"{top}/" if is_deep or holds_listing else ""


def _is_listing(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in (".csv", ".tsv", ".tab", ".json")


def common_folder(names: Sequence[str]) -> str:
    """The folder, as "a/b/", that all files lie in; "" for none. Its name says nothing of masks: "Kvasir-SEG"."""
    first = PurePosixPath(min(names, default="")).parent.parts
    last = PurePosixPath(max(names, default="")).parent.parts
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{folder}/" for folder, _ in shared)
