"""From the names in a source to a plan: which file is which class, part and group.

Layouts, tried in this order:

1. a table: a manifest, a published table of labels or one `split_*.json` (see `core.images.table`);
2. `train/<class>/*` with `test/<class>/*` and `val/<class>/*` (also training, testing, valid, validation), or
   `<class>/train/*`;
3. `<class>/*`.

Any number of folders may wrap these, and folders within them may hold the images, group the classes or name patients
(see `core.images.class_folders`). Class names are folder names with "_" read as a space, in natural order. Masks are no
images (see `core.images.masks`).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, check_nested
from core.images.class_folders import ClassFolders, Folders, PartFolder, find_classes, part_folder, part_folders
from core.images.class_names import ClassNames, name_classes, natural_key, natural_order
from core.images.columns import ColumnChoice
from core.images.copies import without_copies
from core.images.file_kind import TABLE, is_picture, kind_of, not_an_image
from core.images.labelled_image import PARTS, Part, Problem
from core.images.masks import MaskPairs, find_masks, lonely_mask
from core.images.plan import Entry, Plan
from core.images.refusal import SORT, TWO_CLASSES, common_cause
from core.images.source import Source
from core.images.table import Tables

_LAYOUTS = "Folders train/<class> and test/<class>, folders <class>, a manifest.csv or a split_*.json"


def plan_source(source: Source, table_name: str | None = None, choice: ColumnChoice | None = None) -> Plan:
    """Recognise the layout of a source and plan it: by its table if it has one, else by its folders.

    table_name: a manifest or split file to use whatever else is there. choice: columns of tables that a person chose.
    Raises UnreadableSource for no known layout and InvalidOption for a chosen column that no table has.
    """
    tables = Tables(source, table_name, choice)
    plan = tables.plan()
    if plan is not None:
        return plan
    try:
        plan = plan_by_folders(source)
    except UnreadableSource as error:
        raise tables.refusal(error) from error
    if len(plan.classes) == 1:
        _check_tables(tables, UnreadableSource(TWO_CLASSES, f"found one, '{plan.classes[0]}'", SORT))
    return tables.group(plan)


def _check_tables(tables: Tables, error: UnreadableSource) -> None:
    """Raises the error of a single class where a table was meant to name the others, with why it was not used."""
    refusal = tables.refusal(error)
    if refusal is not error:
        raise refusal


def plan_by_folders(source: Source) -> Plan:
    """The plan that folder names give. Raises UnreadableSource if no folder can be a class, or if two readings fit."""
    names = source.names
    pictures = [name for name in names if is_picture(name, functools.partial(source.start, name))]
    pairs = find_masks(pictures)
    images = set_apart(pictures, [*pairs.names, *pairs.lonely])
    if not images:
        raise nothing_to_read(source, names)
    try:
        tree = _tree(images, source)
    except UnreadableSource as error:
        apart = f"; {len(pairs.names)} masks were set apart" if pairs.names else ""
        raise UnreadableSource(error.expected, error.found + apart, error.remedy) from error
    classes = name_classes(tree.found.classes.values())
    plan = Plan([], [], notes=[*tree.notes, *tree.found.notes, *classes.notes])
    _add_entries(plan, tree, classes, pairs)
    plan.problems += [_other_file(source, name, tree.shown(name)) for name in set_apart(names, pictures)]
    plan.problems += [lonely_mask(tree.shown(name)) for name in pairs.lonely]
    plan.notes += _mask_notes(pairs, tree)
    return plan


@dataclass
class _Tree:
    """Images by folder, with the part of each folder. top: what wraps everything, as "a/b/"."""

    images: dict[Folders, list[str]]
    parts: dict[Folders, Part | None]
    found: ClassFolders
    top: str = ""
    notes: list[str] = field(default_factory=list)

    def shown(self, name: str) -> str:
        """A name for people: without what wraps everything."""
        return name.removeprefix(self.top)


def _tree(names: Sequence[str], source: Source) -> _Tree:
    """Where the parts and the classes are."""
    names, notes = without_copies(names, source)
    images: dict[Folders, list[str]] = {}
    for name in names:
        images.setdefault(PurePosixPath(name).parts[:-1], []).append(name)
    words = part_folders(images)
    places = {folders: part_folder(folders, words) for folders in images}
    parted = {folders: place for folders, place in places.items() if place is not None}
    if parted and not _are_classes_above(parted) and not any(place.below for place in parted.values()):
        parted = _unlabelled_parts(parted, images)
    _check_one_tree(parted)
    paths = _paths(parted) if parted else {folders: folders for folders in images if places[folders] is None}
    paths = _unwrapped(paths, parted)
    found = find_classes(paths, {folders: len(images[folders]) for folders in paths})
    _check_training_part(parted)
    parts: dict[Folders, Part | None] = {folders: parted[folders].part if parted else None for folders in found.classes}
    return _Tree(images, parts, found, _top(found, parted), notes)


def _are_classes_above(parted: dict[Folders, PartFolder]) -> bool:
    """Whether the parts lie within the classes: `<class>/train/*`."""
    above = {place.above for place in parted.values()}
    return not any(place.below for place in parted.values()) and len(above) > 1


def _unlabelled_parts(parted: dict[Folders, PartFolder], images: dict[Folders, list[str]]) -> dict[Folders, PartFolder]:
    """No parts, where folders beside them hold the classes. Raises UnreadableSource if nothing does."""
    if len(images) - len(parted) < 2:
        places = " and ".join(f"'{'/'.join(folders)}'" for folders in sorted(parted)[:3])
        raise UnreadableSource(
            "Class folders in each part, as train/<class> and test/<class>",
            f"found {sum(len(images[folders]) for folders in parted)} images directly in {places}",
            "Sort the images of each part into one folder per class, or add a manifest.csv with path,label,split.",
        )
    return {}


def _paths(parted: dict[Folders, PartFolder]) -> dict[Folders, Folders]:
    """What names the class of each folder: what lies below the part, or above it where nothing does."""
    if _are_classes_above(parted):
        return {folders: place.above for folders, place in parted.items()}
    return {folders: place.below for folders, place in parted.items()}


def _unwrapped(paths: dict[Folders, Folders], parted: dict[Folders, PartFolder]) -> dict[Folders, Folders]:
    """Paths without what wraps all classes of a part; each part may be wrapped in its own way."""
    by_part: dict[Part | None, list[Folders]] = {}
    for folders in paths:
        by_part.setdefault(parted[folders].part if parted else None, []).append(folders)
    short = dict(paths)
    for members in by_part.values():
        below = [short[folders] for folders in members if short[folders]]
        while len(set(below)) > 1 and min(map(len, below)) > 1 and len({path[0] for path in below}) == 1:
            below = [path[1:] for path in below]
            short |= {folders: short[folders][1:] for folders in members}
    return short


def _check_one_tree(parted: dict[Folders, PartFolder]) -> None:
    """Refuse parts that stand in several places: they are different sets."""
    if _are_classes_above(parted):
        return
    places: dict[Part, set[Folders]] = {}
    for place in parted.values():
        places.setdefault(place.part, set()).add(place.above)
    first, *others = sorted(max(places.values(), key=len, default={()}))
    if others:
        raise UnreadableSource(
            "One set of train, val and test folders",
            f"found one in '{'/'.join(first) or '.'}' and one in '{'/'.join(others[0]) or '.'}'",
            "Give the folder that holds the one you want.",
        )


def _check_training_part(parted: dict[Folders, PartFolder]) -> None:
    parts = {place.part for place in parted.values()}
    if parts and "train" not in parts:
        raise UnreadableSource(
            "A training part",
            f"found only folders for {' and '.join(sorted(parts))}",
            "Add a folder 'train', or give the folder that holds the classes.",
        )


def _top(found: ClassFolders, parted: dict[Folders, PartFolder]) -> str:
    """What wraps all folders with a class, above parts and classes."""
    places = [parted[folders].above if parted else folders[:-1] for folders in found.classes]
    depth = 0
    while all(len(place) > depth and place[depth] == places[0][depth] for place in places):
        depth += 1
    top = places[0][:depth]
    written = set(found.classes.values())
    while top and top[-1] in written:
        top = top[:-1]
    return "".join(f"{folder}/" for folder in top)


def _add_entries(plan: Plan, tree: _Tree, classes: ClassNames, pairs: MaskPairs) -> None:
    """Entries with labels in natural order of the class names; images without a class become problems."""
    plan.classes = natural_order(set(classes.names.values()))
    rank = {name: label for label, name in enumerate(plan.classes)}
    has_parts = any(tree.parts.values())
    for folders, names in tree.images.items():
        written = tree.found.classes.get(folders)
        for name in names:
            if written is None:
                plan.problems.append(_misplaced(tree.shown(name), has_parts))
            elif written in classes.refused:
                error = classes.refused[written]
                plan.problems.append(Problem(tree.shown(name), "bad_class_name", error.expected, error.found))
            else:
                label, group = rank[classes.names[written]], tree.found.groups.get(folders)
                masks = tuple(pairs.masks.get(name, []))
                plan.entries.append(Entry(name, tree.shown(name), label, tree.parts[folders], group, masks))
    plan.entries.sort(key=_file_order())


def _misplaced(name: str, has_parts: bool) -> Problem:
    where = "train/<class>, val/<class> or test/<class>" if has_parts else "<class>"
    return Problem(name, "misplaced", f"images directly in {where}", "an image elsewhere")


def _other_file(source: Source, key: str, name: str) -> Problem:
    """The problem of a file that is no image."""
    try:
        check_nested(name)
    except RefusedFile as refusal:
        return refusal.about(name)
    expected, found, _ = not_an_image(name, source.start(key))
    return Problem(name, "not_an_image", expected, found)


def _mask_notes(pairs: MaskPairs, tree: _Tree) -> list[str]:
    notes = [f"{len(pairs.names)} masks were found; they are no training images."] if pairs.names else []
    written = set(tree.found.classes.values())
    return notes + [
        f"The folder '{folder}' is read as a class: its pictures pair with no image, so they are no masks."
        for folder in pairs.genuine
        if folder in written
    ]


def set_apart(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """The names that are not among the taken ones, in order."""
    known = set(taken)
    return [name for name in names if name not in known]


def nothing_to_read(source: Source, names: Sequence[str]) -> UnreadableSource:
    """The error for a source without an image: it names what most of its files are, and what to do with them."""
    kinds = Counter(kind_of(name, source.start(name)) for name in names)
    if len(source.problems) > kinds.total() - kinds[TABLE]:
        return common_cause(source.problems)
    if not kinds:
        return UnreadableSource(_LAYOUTS, "found no file", "Sort the images into one folder per class.")
    kind, count = next(((kind, n) for kind, n in kinds.most_common() if kind is not TABLE), kinds.most_common(1)[0])
    what = f"{count} {kind.many}" if count > 1 else kind.one
    example = next(name for name in names if kind_of(name, source.start(name)) is kind)
    return UnreadableSource(
        _LAYOUTS, f"found {what} (such as '{example}') and no image of a format that is read", kind.remedy
    )


def _file_order() -> Callable[[Entry], tuple[object, ...]]:
    """Order by part, class and natural file name."""
    return lambda e: (PARTS.index(e.part) if e.part else 0, e.label, natural_key(e.name), e.name)
