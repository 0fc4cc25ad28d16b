"""What the tables of a set would be read as, before any image is sent: for a person to confirm who belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, safe_name
from core.images.columns import ColumnChoice, describe_group, plain
from core.images.file_kind import START_BYTES
from core.images.labelled_image import Problem
from core.images.layout import plan_source
from core.images.table_search import Examined, TableSearch

_MOST_COLUMNS = 60


class _ListedSource:
    """Files of which only the names are known, and tables whose content is there."""

    def __init__(self, names: Iterable[str], tables: Mapping[str, bytes]) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._tables = dict(tables)
        self._names = dict.fromkeys([*names, *tables])

    @property
    def names(self) -> list[str]:
        return list(self._names)

    def has(self, name: str) -> bool:
        return name in self._names

    def folders(self) -> list[str]:
        return sorted({name.split("/")[0] for name in self._names if "/" in name})

    def path(self, name: str) -> Path | None:
        return None

    def start(self, name: str) -> bytes:
        return self._tables.get(name, b"")[:START_BYTES]

    def read(self, name: str) -> bytes:
        if name not in self._tables:
            raise RefusedFile("unreadable_file", "A table that was sent", "its name only")
        return self._tables[name]


def recognise(names: Iterable[str], tables: Mapping[str, bytes], choice: ColumnChoice | None = None) -> dict[str, Any]:
    """How files of these names would be read with these tables, JSON-ready.

    Returns {classes, n_images, group, groups, tables, notes, problem}. group: the column that keeps images together,
    or None. groups: columns that could, [{column, table, n_groups, n_images, usual}], recognised ones first. tables:
    [{name, columns, path, label, used}]. problem: why the files could not be read, or None.
    """
    source = _ListedSource(_safe(names), {name: tables[raw] for raw in tables for name in _safe([raw])})
    choice = choice or ColumnChoice()
    search = TableSearch(source, None, choice)
    answer: dict[str, Any] = {"classes": [], "n_images": 0, "group": None, "notes": [], "problem": None}
    try:
        plan = plan_source(source, None, choice)
    except UnreadableSource as error:
        answer["problem"] = error.sentence
    else:
        answer |= {
            "classes": plan.classes,
            "n_images": len(plan.entries),
            "group": plan.grouped_by,
            "notes": plan.notes,
        }
    return answer | {"groups": _groups(search), "tables": [_described(e) for e in search.examined if e.n_found]}


def _safe(names: Iterable[str]) -> list[str]:
    """The names that could be read at all."""
    found = []
    for raw in names:
        try:
            found.append(safe_name(raw.replace("\\", "/")))
        except RefusedFile:
            continue
    return found


def _groups(search: TableSearch) -> list[dict[str, Any]]:
    """Columns that divide the images into fewer groups than images: recognised ones first, then the rest."""
    usual = [(examined, group) for examined, group in search.candidates()]
    others = [
        (examined, describe_group(examined.sheet, column))
        for examined in search.examined
        if examined.n_found
        for column in range(len(examined.sheet.columns))
        if column not in (examined.columns.path, examined.columns.label)
    ]
    found: dict[str, dict[str, Any]] = {}
    for examined, group in [*usual, *others]:
        if group.name and 1 < group.n_groups < group.n_images:
            row = {"column": group.name, "table": examined.sheet.name, "usual": group.usual}
            found.setdefault(plain(group.name), row | {"n_groups": group.n_groups, "n_images": group.n_images})
    return list(found.values())[:_MOST_COLUMNS]


def _described(examined: Examined) -> dict[str, Any]:
    names, columns = examined.sheet.columns, examined.columns
    return {
        "name": examined.sheet.name,
        "columns": list(names),
        "path": None if columns.path is None else names[columns.path],
        "label": None if columns.label is None else names[columns.label],
        "used": examined.names_classes,
    }
