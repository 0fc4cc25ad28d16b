"""Two files that say which image is what: a CSV manifest and CoOp's `split_*.json`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, printable, safe_name
from core.images.class_names import check_distinct, class_name
from core.images.image_set import PARTS, Part, Problem

_COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image"),
    "label": ("label", "class", "class_name"),
    "split": ("split", "part"),
    "group": ("group", "patient", "patient_id"),
}
_PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# A spreadsheet runs cells that start so; "+ve" or "-1" are labels, "-1+cmd|..." and "+SUM(" are not.
_FORMULA = re.compile(r"[=@\t\r]|[+\-].*[(|!]")


@dataclass(frozen=True)
class Row:
    """One listed image: path beside the manifest, index into the classes, part (None: to be held out) and group."""

    path: str
    label: int
    part: Part | None = None
    group: str | None = None


@dataclass
class Listing:
    """What a manifest or split file lists. The order of classes is the order of labels."""

    classes: list[str]
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def part_of(word: str) -> Part | None:
    """The part a folder name or a split cell means, or None."""
    return _PARTS.get(word.strip().casefold())


def is_manifest(content: bytes) -> bool:
    """Whether a CSV file's first line has the columns of a manifest."""
    try:
        header = next(_records(_text(content[:65536], cut=True)), [])
        return {"path", "label"} <= set(_find_columns(header))
    except UnreadableSource:
        return False


def parse_manifest(content: bytes, name: str = "manifest.csv") -> Listing:
    """Read `path,label[,split][,group]`; extra columns are left alone.

    Labels name the classes, in order of first appearance; if all are whole numbers, the numbers give the order and
    the classes are called "class 0" and so on. Each bad row becomes a problem. Raises UnreadableSource if the text or
    its header cannot be used.
    """
    records = _records(_text(content))
    columns = _find_columns(next(records, []))
    missing = [column for column in ("path", "label") if column not in columns]
    if missing:
        raise UnreadableSource(
            "A manifest with the columns path,label[,split][,group]",
            f"'{printable(name)}' has no column {' and no column '.join(missing)}",
            "Name the columns in its first line.",
        )
    listing = Listing([], [])
    cells: list[tuple[str, str, Part | None, str | None]] = []
    for number, record in enumerate(records, start=2):
        if not any(cell.strip() for cell in record):
            continue
        try:
            cells.append(_check_record(record, columns))
        except RefusedFile as refusal:
            listing.problems.append(refusal.about(f"{printable(name)}, row {number}"))
    return _number(cells, listing)


def parse_split(content: bytes, name: str = "split.json") -> Listing:
    """Read CoOp's {"train": [[path, label, class name], ...], "val": [...], "test": [...]}.

    The label numbers give the order of classes; gaps close up. Each bad row becomes a problem. Raises
    UnreadableSource for another shape and for one label with two names.
    """
    table = _json_table(content, name)
    listing = Listing([], [])
    names: dict[int, str] = {}
    rows: list[tuple[str, int, Part]] = []
    for key, part in _PARTS.items():
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
    _check_unique(list(names.values()))
    listing.classes = [class_name(names[label]) for label in order]
    rank = {label: index for index, label in enumerate(order)}
    listing.rows = _without_repeats([Row(path, rank[label], part) for path, label, part in rows], listing)
    if order != list(range(len(order))):
        listing.notes.append(f"The labels {', '.join(map(str, order))} became 0 to {len(order) - 1}.")
    return listing


def _text(content: bytes, cut: bool = False) -> str:
    """Decoded text, byte-order mark removed. cut: the last character may be incomplete."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding, errors="ignore" if cut else "strict")
    except UnicodeDecodeError as error:
        raise UnreadableSource(
            "A manifest in UTF-8", "found another encoding", "Save it as 'CSV UTF-8' in the spreadsheet."
        ) from error
    if "\x00" in text:
        raise UnreadableSource("A manifest of plain text", "found binary content")
    return text


def _records(text: str) -> Iterator[list[str]]:
    """Records of a CSV with any line ends and with comma, semicolon or tab between cells."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lambda mark: (first.count(mark), mark == ","))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise UnreadableSource("A well-formed CSV file", f"line {reader.line_num}: {error}") from error


def _find_columns(header: list[str]) -> dict[str, int]:
    """Column index by our name; the first alias found counts."""
    written = [cell.strip().casefold().replace(" ", "_") for cell in header]
    found = {}
    for column, aliases in _COLUMNS.items():
        known = [written.index(alias) for alias in aliases if alias in written]
        if known:
            found[column] = known[0]
    return found


def _check_record(record: list[str], columns: dict[str, int]) -> tuple[str, str, Part | None, str | None]:
    """(path, label, part, group) of one row. Raises RefusedFile."""
    cells = {c: (record[i].strip(" ") if i < len(record) else "") for c, i in columns.items()}
    for column, cell in cells.items():
        if _FORMULA.match(cell):
            raise RefusedFile("formula", "Plain text in every cell", f"found a formula in column '{column}'")
    if not cells["path"] or not cells["label"]:
        empty = "path" if not cells["path"] else "label"
        raise RefusedFile("missing_cell", "A path and a label in every row", f"found no {empty}")
    part = part_of(cells["split"]) if "split" in cells else None
    if "split" in cells and part is None:
        raise RefusedFile(
            "unknown_split", f"One of {', '.join(PARTS)} in column 'split'", f"found '{printable(cells['split'])}'"
        )
    _check_label(cells["label"])
    return _listed_path(cells["path"]), cells["label"], part, cells.get("group") or None


def _check_label(written: str) -> None:
    """Make an impossible class name a problem of its row, not of the whole manifest."""
    try:
        class_name(written)
    except UnreadableSource as error:
        raise RefusedFile("bad_label", error.expected, error.found, error.remedy) from error


def _listed_path(written: str) -> str:
    """A listed path in our form; backslashes are how Windows writes it."""
    return safe_name(written.replace("\\", "/"))


def _number(cells: list[tuple[str, str, Part | None, str | None]], listing: Listing) -> Listing:
    """Turn label texts into label numbers."""
    written = list(dict.fromkeys(label for _, label, _, _ in cells))
    if written and all(re.fullmatch(r"[0-9]{1,9}", label) for label in written):
        written.sort(key=int)
        _check_unique([str(int(label)) for label in written])
        listing.classes = [f"class {int(label)}" for label in written]
        listing.notes.append("The labels are numbers, so the classes are called 'class 0' and so on.")
    else:
        check_distinct(written)
        listing.classes = [class_name(label) for label in written]
    rank = {label: index for index, label in enumerate(written)}
    rows = [Row(path, rank[label], part, group) for path, label, part, group in cells]
    listing.rows = _without_repeats(rows, listing)
    return listing


def _check_unique(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableSource("One label for each class name", f"'{twice[0]}' has two")


def _without_repeats(rows: list[Row], listing: Listing) -> list[Row]:
    """Rows with each path once; later ones become problems that say whether they contradict the first."""
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.path, row)
        if earlier is not row:
            same = (earlier.label, earlier.part) == (row.label, row.part)
            found = "listed again" if same else "listed again with another label or part; the first was kept"
            listing.problems.append(Problem(row.path, "duplicate_name", "each image listed once", found))
    return list(first.values())


def _json_table(content: bytes, name: str) -> dict[str, list[object]]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource("A JSON split file", f"'{printable(name)}' is not JSON") from error
    lists = isinstance(table, dict) and all(isinstance(table.get(key, []), list) for key in _PARTS)
    if not lists or not any(table.get(key) for key in _PARTS):
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
    _check_label(written)
    return _listed_path(path), label, written
