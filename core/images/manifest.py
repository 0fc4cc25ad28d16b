"""From the rows of a table to labelled rows: each with path, class, part and group, each bad one named."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, printable, safe_name
from core.images.class_names import check_distinct, class_name, name_classes
from core.images.columns import Columns, flag
from core.images.labelled_image import PARTS, Part, Problem
from core.images.parts import part_of
from core.images.sheet import Sheet

# A spreadsheet runs cells that start so; "+ve" or "-1" are labels, "-1+cmd|..." and "+SUM(" are not.
_FORMULA = re.compile(r"[=@\t\r]|[+\-].*[(|!]")
_WHOLE = re.compile(r"[0-9]{1,9}")
_LEAST_SINGLE = 0.2
_LONGEST_LIST = 1000


@dataclass(frozen=True)
class Row:
    """One listed image: path as written, index into the classes and part (None: not said)."""

    path: str
    label: int
    part: Part | None = None


@dataclass
class Listing:
    """What a manifest or split file lists. The order of classes is the order of labels."""

    classes: list[str]
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Cells:
    """One good row: its label as written."""

    path: str
    label: str
    part: Part | None


def list_rows(sheet: Sheet, columns: Columns) -> Listing:
    """The labelled rows of a table whose columns are recognised; each row that cannot be used becomes a problem.

    Labels name the classes, in order of first appearance; if all are whole numbers, the numbers give the order, and
    the classes take their names from the column of names or are called "class 0" and so on. Classes that have a column
    each stand in the order of the columns. Labels that look the same are one class, with a note. Raises
    UnreadableSource if the names of numbered classes collide.
    """
    listing = Listing([], [])
    label_of = _one_hot_label(sheet, columns) if columns.label is None else _plain_label(columns)
    cells: list[_Cells] = []
    for number, record in sheet.rows:
        try:
            cells.append(_check_record(sheet, columns, record, label_of))
        except RefusedFile as refusal:
            listing.problems.append(refusal.about(f"{printable(sheet.name)}, row {number}"))
    if columns.label is None:
        _check_single(sheet, columns, cells)
    return _number(cells, listing, sheet, columns)


def group_value(written: str) -> str | None:
    """A group as it is compared: without spaces around, and numbers without a decimal zero."""
    text = re.sub(r"(?<=^)([0-9]+)[.,]0+$", r"\1", written.strip())
    return text or None


def listed_path(written: str) -> str:
    """A listed path in our form; backslashes are how Windows writes it. Raises RefusedFile."""
    return safe_name(written.replace("\\", "/"))


def check_label(written: str) -> None:
    """Make an impossible class name a problem of its row, not of the whole manifest. Raises RefusedFile."""
    try:
        class_name(written)
    except UnreadableSource as error:
        raise RefusedFile("bad_label", error.expected, error.found, error.remedy) from error


def check_unique(names: list[str]) -> None:
    """Raises UnreadableSource if two labels have one name."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UnreadableSource("One label for each class name", f"'{twice[0]}' has two")


def _check_record(sheet: Sheet, columns: Columns, record: list[str], label_of: Callable[[list[str]], str]) -> _Cells:
    """One row. Raises RefusedFile."""

    def cell(column: int | None) -> str:
        return record[column] if column is not None and column < len(record) else ""

    for column in (columns.path, columns.label, columns.names, columns.split, columns.group):
        if _FORMULA.match(cell(column)):
            name = sheet.columns[column or 0].casefold()
            raise RefusedFile("formula", "Plain text in every cell", f"found a formula in column '{printable(name)}'")
    _check_width(sheet, record)
    label = label_of(record)
    if not cell(columns.path) or not label:
        empty = "path" if not cell(columns.path) else "label"
        raise RefusedFile("missing_cell", "A path and a label in every row", f"found no {empty}")
    part = part_of(cell(columns.split))
    if columns.split is not None and part is None:
        raise RefusedFile(
            "unknown_split",
            f"One of {', '.join(PARTS)} in column 'split'",
            f"found '{printable(cell(columns.split))}'",
        )
    for name in (label, cell(columns.names)):
        if name:
            check_label(name)
    return _Cells(listed_path(cell(columns.path)), label, part)


def _check_width(sheet: Sheet, record: list[str]) -> None:
    """A row with more cells than columns is shifted somewhere: its label may be another's. Raises RefusedFile."""
    n_columns = len(sheet.columns)
    if any(record[n_columns:]):
        raise RefusedFile(
            "too_many_cells",
            f"{n_columns} cells in every row, as many as there are columns",
            f"found {len(record)}; a separator inside a cell needs quotes around the cell",
        )


# ------------------------------------------------------------------------------------------------------------- labels


def _plain_label(columns: Columns) -> Callable[[list[str]], str]:
    """The label of a row from the one column of classes."""

    def label_of(record: list[str]) -> str:
        written = record[columns.label] if columns.label is not None and columns.label < len(record) else ""
        several = _listed_labels(written)
        if len(several) > 1:
            raise RefusedFile(
                "several_labels", "One class for each image", f"found {len(several)}: {printable(written)}"
            )
        return several[0] if several else written

    return label_of


def _listed_labels(written: str) -> list[str]:
    """Labels that stand in one cell, as in "Effusion|Mass" or "['N', 'D']"; empty for a plain one."""
    if "|" in written:
        return [part.strip() for part in written.split("|") if part.strip()]
    if not (written.startswith("[") and written.endswith("]")) or len(written) > _LONGEST_LIST:
        return []
    try:
        found = ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item).strip() for item in found] if isinstance(found, list) else []


def _one_hot_label(sheet: Sheet, columns: Columns) -> Callable[[list[str]], str]:
    """The label of a row from columns of 0 and 1: the name of the one column that says 1."""
    span = one_hot_span(sheet, columns)

    def label_of(record: list[str]) -> str:
        flags = {c: flag(record[c]) if c < len(record) else False for c in columns.one_hot}
        chosen = [sheet.columns[c] for c, value in flags.items() if value]
        unsure = [sheet.columns[c] for c, value in flags.items() if value is None]
        if len(chosen) == 1 and not unsure:
            return chosen[0]
        if not chosen:
            found = f"found only unsure ones: {', '.join(unsure)}" if unsure else "found none"
            raise RefusedFile("no_label", f"One 1 among the columns {span}", found)
        named = ", ".join([*chosen, *(f"{name} (unsure)" for name in unsure)])
        raise RefusedFile("several_labels", f"One 1 among the columns {span}", f"found {printable(named)}")

    return label_of


def one_hot_span(sheet: Sheet, columns: Columns) -> str:
    """The columns of classes in words: "MEL..UNK"."""
    names = [printable(sheet.columns[c]) for c in columns.one_hot]
    return f"{names[0]}..{names[-1]}" if len(names) > 2 else " and ".join(names)


def _check_single(sheet: Sheet, columns: Columns, cells: list[_Cells]) -> None:
    """Refuse columns of 0 and 1 that are no classes: hardly any row has exactly one 1."""
    if len(cells) < max(1, _LEAST_SINGLE * len(sheet.rows)):
        raise UnreadableSource(
            f"One 1 in each row among the columns {one_hot_span(sheet, columns)}, where labels stand one-hot",
            f"{len(cells)} of {len(sheet.rows)} rows of '{printable(sheet.name)}' have it",
            "Write the class of each image into a column 'label'.",
        )


def _number(cells: list[_Cells], listing: Listing, sheet: Sheet, columns: Columns) -> Listing:
    """Turn label texts into label numbers."""
    cells = [_Cells(c.path, re.sub(r"^([0-9]+)[.,]0+$", r"\1", c.label), c.part) for c in cells]
    written = list(dict.fromkeys(cell.label for cell in cells))
    if columns.label is None:
        written = _by_column(written, listing, sheet, columns)
    if written and columns.label is not None and all(_WHOLE.fullmatch(label) for label in written):
        written.sort(key=int)
        check_unique([str(int(label)) for label in written])
        listing.classes = _numbered_classes(written, listing, sheet, columns)
        rank = {label: index for index, label in enumerate(written)}
    else:
        named = name_classes(written)
        listing.notes += named.notes
        listing.classes = list(dict.fromkeys(named.names[label] for label in written))
        rank = {label: listing.classes.index(named.names[label]) for label in written}
    listing.rows = [Row(cell.path, rank[cell.label], cell.part) for cell in cells]
    return listing


def _by_column(written: list[str], listing: Listing, sheet: Sheet, columns: Columns) -> list[str]:
    """Classes in the order of their columns; columns without any 1 are left out and told."""
    named = [sheet.columns[c] for c in columns.one_hot]
    empty = [printable(name) for name in named if name not in written]
    listing.notes.append(f"Classes stand one-hot in the columns {one_hot_span(sheet, columns)}.")
    if empty:
        listing.notes.append(f"Left out, because no usable row has a 1 there: {', '.join(empty)}.")
    return [name for name in named if name in written]


def _numbered_classes(written: list[str], listing: Listing, sheet: Sheet, columns: Columns) -> list[str]:
    """Names of classes whose labels are numbers: from the column of names, else "class 0" and so on."""
    if columns.names is None:
        listing.notes.append("The labels are numbers, so the classes are called 'class 0' and so on.")
        return [f"class {int(label)}" for label in written]
    names = dict(_number_names(sheet, columns))
    found = [names.get(str(int(label)), f"class {int(label)}") for label in written]
    check_distinct(found)
    listing.notes.append(
        f"The numbers in '{printable(sheet.columns[columns.label or 0])}' take their names from "
        f"'{printable(sheet.columns[columns.names])}'."
    )
    return [class_name(name) for name in found]


def _number_names(sheet: Sheet, columns: Columns) -> Iterator[tuple[str, str]]:
    assert columns.label is not None
    assert columns.names is not None
    for number, name in zip(sheet.cells(columns.label), sheet.cells(columns.names), strict=True):
        text = re.sub(r"[.,]0+$", "", number)
        if _WHOLE.fullmatch(text) and name:
            yield str(int(text)), name
