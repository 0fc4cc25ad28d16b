"""What the tables of a set would be read as, before any image is sent: for a person to confirm who belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, safe_name
from core.images.columns import ColumnChoice, LabelColumn, describe_group, describe_label, plain
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

    Returns {classes, n_images, label, labels, group, groups, tables, notes, problem}. label: the column that names the
    classes, or None where folders or several columns do. labels: columns that could, [{column, table, n_classes,
    n_images, usual}], recognised ones first. group: the column that keeps images together, or None. groups: columns
    that could, [{column, table, n_groups, n_images, usual}], recognised ones first. tables: [{name, columns, path,
    label, used}]. problem: why the files could not be read, or None.
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
    found = [examined for examined in search.examined if examined.n_found]
    return answer | {
        "label": next((_label(examined) for examined in found if examined.names_classes), None),
        "labels": _labels(found),
        "groups": _groups(search),
        "tables": [_described(examined) for examined in found],
    }


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
        if column not in (examined.columns.path, examined.columns.label, *examined.columns.one_hot)
    ]
    found: dict[str, dict[str, Any]] = {}
    for examined, group in [*usual, *others]:
        if group.name and 1 < group.n_groups < group.n_images:
            row = {"column": group.name, "table": examined.sheet.name, "usual": group.usual}
            found.setdefault(plain(group.name), row | {"n_groups": group.n_groups, "n_images": group.n_images})
    return list(found.values())[:_MOST_COLUMNS]


def _labels(tables: Iterable[Examined]) -> list[dict[str, Any]]:
    """Columns that could name the classes: recognised ones first, then others whose values repeat."""
    found: dict[str, tuple[LabelColumn, str]] = {}
    for examined in tables:
        columns = examined.columns
        taken = {columns.path, columns.split, *columns.one_hot, *(group.column for group in columns.groups)}
        for column in range(len(examined.sheet.columns)):
            label = describe_label(examined.sheet, column)
            counts = column == columns.label
            if label.name and (counts or (column not in taken and label.repeats)):
                found.setdefault(plain(label.name), (label, examined.sheet.name))
    ordered = sorted(found.values(), key=lambda row: not row[0].usual)
    return [
        {
            "column": label.name,
            "table": table,
            "n_classes": label.n_classes,
            "n_images": label.n_images,
            "usual": label.usual,
        }
        for label, table in ordered[:_MOST_COLUMNS]
    ]


def _label(examined: Examined) -> str | None:
    """The column that names the classes, or None where there is none."""
    column = examined.columns.label
    return None if column is None else examined.sheet.columns[column]


def _described(examined: Examined) -> dict[str, Any]:
    names, columns = examined.sheet.columns, examined.columns
    return {
        "name": examined.sheet.name,
        "columns": list(names),
        "path": None if columns.path is None else names[columns.path],
        "label": _label(examined),
        "used": examined.names_classes,
    }
