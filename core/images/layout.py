"""From the names in a source to a plan: which file is which class, part and group.

Layouts, tried in this order at the root (or below one wrapping folder):

1. one CSV manifest with the columns path and label, or one `split_*.json`;
2. `train/<class>/*` with `test/<class>/*` and `val/<class>/*` (also training, testing, valid, validation);
3. `<class>/*`.

Class names are folder names with "_" read as a space, in natural order. `masks/` and `*_mask` files are masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.errors import UnreadableSource
from core.images.class_names import check_distinct, class_name, natural_key, natural_order
from core.images.decode import SUFFIXES
from core.images.image_set import PARTS, Part, Problem
from core.images.manifest import Listing, is_manifest, parse_manifest, parse_split, part_of
from core.images.masks import MASKS_FOLDER, is_below_masks, pair_masks
from core.images.source import Source

_LAYOUTS = "Folders train/<class> and test/<class>, folders <class>, a manifest.csv or a split_*.json"


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
    """What to load. Entries stand in file order; a part of None is to be held out from later."""

    classes: list[str]
    entries: list[Entry]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_source(source: Source, listing_name: str | None = None) -> Plan:
    """Recognise the layout of a source and plan it.

    listing_name: a manifest or split file to use whatever else is there. Raises UnreadableSource for no known layout.
    """
    if listing_name is not None:
        return _plan_listing(source, listing_name, "")
    top = _wrapping_folder(source.names)
    names = [name.removeprefix(top) for name in source.names]
    listing = _find_listing(source, names, top)
    if listing is not None:
        return _plan_listing(source, listing, top)
    return _plan_folders(dict(zip(names, source.names, strict=True)))


def _wrapping_folder(names: Sequence[str]) -> str:
    """ "top/" if every file but masks lies in one folder that is neither a part nor a class; else ""."""
    tops = {PurePosixPath(n).parts[0] if "/" in n else "" for n in names if not is_below_masks(n)}
    top = next(iter(tops)) if len(tops) == 1 else ""
    if not top or part_of(top) is not None:
        return ""
    is_deep = any(len(PurePosixPath(n).parts) > 2 for n in names if not is_below_masks(n))
    holds_listing = any(PurePosixPath(n).suffix.lower() in (".csv", ".json") for n in names)
    return f"{top}/" if is_deep or holds_listing else ""


def _find_listing(source: Source, names: Sequence[str], top: str) -> str | None:
    """The one manifest or split file at the root, by its key. Raises UnreadableSource if there are several."""
    at_root = [name for name in names if "/" not in name]
    splits = [n for n in at_root if n.lower().startswith("split") and n.lower().endswith(".json")]
    tables = [n for n in at_root if n.lower().endswith(".csv") and is_manifest(source.read(top + n))]
    found = splits + tables
    preferred = [name for name in found if name.lower() == "manifest.csv"]
    if len(found) > 1 and len(preferred) != 1:
        raise UnreadableSource(
            "One manifest or split file", f"found {', '.join(found)}", "Keep one, or call it manifest.csv."
        )
    chosen = preferred or found
    return top + chosen[0] if chosen else None


def _plan_listing(source: Source, key: str, top: str) -> Plan:
    """Plan the rows of a manifest or split file."""
    name = key.removeprefix(top)
    content = source.read(key)
    listing = parse_split(content, name) if name.lower().endswith(".json") else parse_manifest(content, name)
    base = _image_folder(source, listing, top)
    refused = {problem.file for problem in source.problems}
    has_masks = MASKS_FOLDER in source.folders()
    plan = Plan(listing.classes, [], listing.problems, listing.notes)
    for row in listing.rows:
        at = base + row.path
        if source.has(at):
            masks = _listed_masks(source, base, row.path) if base or has_masks else ()
            plan.entries.append(Entry(at, row.path, row.label, row.part, row.group, masks))
        elif at not in refused:
            plan.problems.append(Problem(row.path, "missing_file", "a file at this path", "found none"))
    plan.notes.insert(0, f"Classes and parts come from '{name}'.")
    return plan


def _listed_masks(source: Source, base: str, path: str) -> tuple[str, ...]:
    """The mask of a listed image in a `masks` folder beside the images."""
    twins = (f"{base}{MASKS_FOLDER}/{PurePosixPath(path).with_suffix(suffix)}" for suffix in SUFFIXES)
    return tuple(twin for twin in twins if source.has(twin))[:1]


def _image_folder(source: Source, listing: Listing, top: str) -> str:
    """The folder that listed paths start from: beside the file, or a folder beside it that holds more of them."""
    sample = listing.rows[:: max(1, len(listing.rows) // 50)]
    folders = [top] if top else ["", *(f"{folder}/" for folder in source.folders())]
    if top:
        folders += sorted({f"{top}{PurePosixPath(n).parts[1]}/" for n in source.names if n.count("/") > 1})
    return max(folders, key=lambda folder: sum(source.has(folder + row.path) for row in sample))


def _plan_folders(keys: dict[str, str]) -> Plan:
    """Plan `<part>/<class>/*` or `<class>/*`. keys: {name below the wrapping folder: name in the source}."""
    names = list(keys)
    firsts = {PurePosixPath(n).parts[0] for n in names if "/" in n and not is_below_masks(n)}
    parts = {first for first in firsts if part_of(first) is not None}
    depth = 3 if parts else 2
    plan = Plan([], [])
    masks = pair_masks(names)
    mask_names = {mask for found in masks.values() for mask in found}
    placed: list[tuple[str, str, Part | None]] = []
    for name in names:
        if name in mask_names or is_below_masks(name):
            continue
        path = PurePosixPath(name)
        if len(path.parts) != depth or (parts and path.parts[0] not in parts):
            plan.problems.append(_misplaced(name, depth))
        else:
            placed.append((name, path.parts[-2], part_of(path.parts[0]) if parts else None))
    _number_classes(plan, placed, keys, masks)
    if mask_names:
        plan.notes.append(f"{len(mask_names)} masks were found; they are no training images.")
    return plan


def _misplaced(name: str, depth: int) -> Problem:
    where = "train/<class>, val/<class> or test/<class>" if depth == 3 else "<class>"
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        found = f"a file of kind '{PurePosixPath(name).suffix.lower() or 'no suffix'}' elsewhere"
        return Problem(name, "not_an_image", f"images in {where}", found)
    return Problem(name, "misplaced", f"images directly in {where}", "an image elsewhere")


def _number_classes(
    plan: Plan, placed: list[tuple[str, str, Part | None]], keys: dict[str, str], masks: dict[str, list[str]]
) -> None:
    """Give labels in natural order of the class names, and put the entries in order."""
    pictures = {written for name, written, _ in placed if PurePosixPath(name).suffix.lower() in SUFFIXES}
    if not pictures:
        raise UnreadableSource(_LAYOUTS, "found none of these", "Sort the images into one folder per class.")
    check_distinct(natural_order({written for _, written, _ in placed if written in pictures}))
    plan.classes = natural_order({class_name(written) for written in pictures})
    rank = {name: label for label, name in enumerate(plan.classes)}
    for name, written, part in placed:
        if written in pictures:
            found = tuple(keys[mask] for mask in masks.get(name, []))
            plan.entries.append(Entry(keys[name], name, rank[class_name(written)], part, None, found))
        else:
            plan.problems.append(_misplaced(name, 3 if part else 2))
    plan.entries.sort(key=_file_order())


def _file_order() -> Callable[[Entry], tuple[object, ...]]:
    """Order by part, class and natural file name."""
    return lambda e: (PARTS.index(e.part) if e.part else 0, e.label, natural_key(e.name), e.name)
