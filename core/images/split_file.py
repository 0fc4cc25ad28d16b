"""CoOp's `split_*.json`: which image is which class and part."""

from __future__ import annotations

import json
from typing import cast

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, printable
from core.images.class_names import check_distinct, class_name
from core.images.labelled_image import Part
from core.images.manifest import Listing, Row, check_label, check_unique, listed_path
from core.images.parts import PART_WORDS


def parse_split(content: bytes, name: str = "split.json") -> Listing:
    """Read CoOp's {"train": [[path, label, class name], ...], "val": [...], "test": [...]}.

    The label numbers give the order of classes; gaps close up. Each bad row becomes a problem. Raises
    UnreadableSource for another shape and for one label with two names.
    """
    table = _json_table(content, name)
    listing = Listing([], [])
    names: dict[int, str] = {}
    rows: list[tuple[str, int, Part]] = []
    for key, part in PART_WORDS.items():
        for number, row in enumerate(table.get(key, [])):
            try:
                path, label, written = _check_split_row(row)
            except RefusedFile as refusal:
                listing.problems.append(refusal.about(f"{printable(name)}, {key} row {number + 1}"))
                continue
            if names.setdefault(label, written) != written:
                raise UnreadableSource(
                    "One class name for each label", f"label {label} is '{names[label]}' and '{written}'"
                )
            rows.append((path, label, part))
    order = sorted(names)
    check_distinct([names[label] for label in order])
    check_unique(list(names.values()))
    listing.classes = [class_name(names[label]) for label in order]
    rank = {label: index for index, label in enumerate(order)}
    listing.rows = [Row(path, rank[label], part) for path, label, part in rows]
    if order != list(range(len(order))):
        listing.notes.append(f"The labels {', '.join(map(str, order))} became 0 to {len(order) - 1}.")
    return listing


def _json_table(content: bytes, name: str) -> dict[str, list[object]]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource("A JSON split file", f"'{printable(name)}' is not JSON") from error
    lists = isinstance(table, dict) and all(isinstance(table.get(key, []), list) for key in PART_WORDS)
    if not lists or not any(table.get(key) for key in PART_WORDS):
        raise UnreadableSource(
            'A split file {"train": [[path, label, class name], ...], "val": [...], "test": [...]}',
            f"'{printable(name)}' has another shape",
        )
    return table


def _check_split_row(row: object) -> tuple[str, int, str]:
    shape_ok = (
        isinstance(row, list)
        and len(row) == 3
        and isinstance(row[0], str)
        and isinstance(row[1], int)
        and not isinstance(row[1], bool)
        and isinstance(row[2], str)
    )
    if not shape_ok:
        raise RefusedFile("bad_row", "[path, label number, class name]", "found another shape")
    path, label, written = cast(tuple[str, int, str], row)
    check_label(written)
    return listed_path(path), label, written
