"""From the names in a source to a plan: which file is which class, part and group.

Layouts, tried in this order at the root (or below one wrapping folder):

1. a table: one CSV manifest with the columns path and label, or one `split_*.json` (see `core.images.table`);
2. `train/<class>/*` with `test/<class>/*` and `val/<class>/*` (also training, testing, valid, validation);
3. `<class>/*`.

Class names are folder names with "_" read as a space, in natural order. `masks/` and `*_mask` files are masks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from core.errors import UnreadableSource
from core.images.class_names import check_distinct, class_name, natural_key, natural_order
from core.images.columns import ColumnChoice
from core.images.decode import SUFFIXES
from core.images.image_set import PARTS, Part, Problem
from core.images.masks import is_below_masks, pair_masks
from core.images.parts import part_of
from core.images.plan import Entry, Plan, wrapping_folder
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
    return tables.group(plan)


def plan_by_folders(source: Source) -> Plan:
    """The plan that folder names give. Raises UnreadableSource if no folder can be a class."""
    top = wrapping_folder(source.names)
    return _plan_folders({name.removeprefix(top): name for name in source.names})


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
