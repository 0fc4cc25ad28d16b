"""The tables of a source: which there are, what they hold, and which of them names the classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from core.errors import InvalidOption, UnreadableSource
from core.images.archive import RefusedFile, printable
from core.images.columns import GROUP_NAMES, ColumnChoice, Columns, GroupColumn, find_column, plain, recognise_columns
from core.images.file_index import FileIndex, Match
from core.images.labelled_image import Part
from core.images.manifest import listed_path
from core.images.masks import is_below_masks, pair_masks
from core.images.parts import part_of
from core.images.plan import common_folder, wrapping_folder
from core.images.sheet import SHEET_SUFFIXES, Sheet, other_table, read_sheet
from core.images.source import Source

_DEEPEST = 3
_MOST_TABLES = 40
_BARE_TABLE = re.compile(r"metadata|manifest|labels?$|ground_?truth", re.IGNORECASE)
_EXPECTED = "A table that names each image's file and its class"


@dataclass(frozen=True)
class Examined:
    """A table that was looked at.

    base: the folder its paths start from. n_found: rows that name a file of the source. cause: why it names no classes.
    """

    sheet: Sheet
    columns: Columns
    base: str
    n_found: int
    cause: str | None = None

    @property
    def names_classes(self) -> bool:
        """Whether images can be labelled by it."""
        return self.cause is None


class TableSearch:
    """The tables of a source, looked at once.

    source: where files come from. given: the table to use, whatever else is there. choice: columns a person chose.
    top: the folder, ending in "/", that everything lies in; "" for none.
    """

    def __init__(self, source: Source, given: str | None, choice: ColumnChoice) -> None:
        self.source, self.given, self.choice = source, given, choice
        self._found: dict[tuple[str, str], Match] = {}
        self._broken: dict[str, str] = {}
        self.top = "" if given is not None else wrapping_folder(self._names)

    @cached_property
    def _names(self) -> list[str]:
        """All files. None are known of a folder with more than may be listed: then only whole paths are found."""
        try:
            return self.source.names
        except UnreadableSource:
            if self.given is None:
                raise
            return []

    @cached_property
    def masks(self) -> dict[str, list[str]]:
        top = len(common_folder(self._names))
        inner = {name[top:]: name for name in self._names}
        return {inner[image]: [inner[m] for m in masks] for image, masks in pair_masks(inner).items()}

    @cached_property
    def images(self) -> list[str]:
        """Files that may be images: no masks, no tables."""
        masks = {mask for found in self.masks.values() for mask in found}
        common = common_folder(self._names)
        return [
            name
            for name in self._names
            if name not in masks and not is_below_masks(name.removeprefix(common)) and name not in self._table_names
        ]

    @cached_property
    def _table_names(self) -> list[str]:
        """Files that may be tables, those nearest to the top first."""
        if self.given is not None:
            beside = [n for n in self._names if "/" not in n and n != self.given and _is_sheet(n)]
            return [self.given, *beside][:_MOST_TABLES]
        inner = {name: name[len(self.top) :].count("/") for name in self._names if name.startswith(self.top)}
        found = [name for name, depth in inner.items() if depth < _DEEPEST and _is_sheet(name, depth)]
        return sorted(found, key=lambda name: (inner[name], name))[:_MOST_TABLES]

    @cached_property
    def index(self) -> FileIndex:
        return FileIndex(self.images, self._names) if self._names else _DiskIndex(self.source)

    def base(self, paths: Sequence[str]) -> str:
        """The folder that listed paths start from: the one that holds most of a sample of them."""
        sample = [path.replace("\\", "/") for path in paths[:: max(1, len(paths) // 50)]]
        return max(
            self._folders(), key=lambda folder: sum(self.index.has(folder + path) for path in sample), default=""
        )

    def find(self, cell: str, base: str = "") -> Match:
        """What a cell names, if it could be the name of a file at all."""
        if (cell, base) not in self._found:
            try:
                found = self.index.find(listed_path(cell), base) if cell else Match()
            except RefusedFile:
                found = Match()
            self._found[cell, base] = found
        return self._found[cell, base]

    def _folders(self) -> list[str]:
        if not self.top:
            return ["", *(f"{folder}/" for folder in self.source.folders())]
        below = {PurePosixPath(n).parts[1] for n in self._names if n.count("/") > 1}
        return [self.top, *(f"{self.top}{folder}/" for folder in sorted(below))]

    @cached_property
    def unread(self) -> dict[str, str]:
        """Tables that were not read at all, each with its cause."""
        kinds = {name: other_table(name) for name in self._names if name.startswith(self.top)}
        return {name: f"it is {kind}; save it as CSV" for name, kind in kinds.items() if kind} | self._broken

    @cached_property
    def examined(self) -> list[Examined]:
        """Every table that could be read."""
        found = []
        for name in self._table_names:
            if name.lower().endswith(".json"):
                continue
            try:
                found.append(self._examine(read_sheet(self.source.read(name), name.removeprefix(self.top))))
            except UnreadableSource as error:
                if name == self.given:
                    raise
                self._broken[name] = error.found
            except RefusedFile as error:
                if name == self.given:
                    raise
                self._broken[name] = error.found
        return found

    def _examine(self, sheet: Sheet) -> Examined:
        if any(self._is_path(cell) for cell in sheet.columns):
            sheet = sheet.without_header()
        columns = recognise_columns(sheet, lambda cell: self.find(cell).is_known, self.choice)
        cells = sheet.cells(columns.path) if columns.path is not None else []
        base = self.base(cells)
        n_found = sum(self.find(cell, base).is_known for cell in cells)
        return Examined(sheet, columns, base, n_found, _cause(sheet, columns))

    def _is_path(self, cell: str) -> bool:
        """Whether a cell of the first row is data: a file, or a path to a folder. A bare word may head a column."""
        match = self.find(cell)
        return bool(match.keys) and ("/" in cell or not match.is_folder)

    def split_file(self) -> str | None:
        """The `split_*.json` that lists the set, or None. Raises UnreadableSource if there are several."""
        if self.given is not None:
            return self.given if self.given.lower().endswith(".json") else None
        inner = [name for name in self._names if name.startswith(self.top)]
        at_top = [name for name in inner if "/" not in name[len(self.top) :]]
        found = [n for n in at_top if re.match(r"split.*\.json$", n[len(self.top) :].lower())]
        others = [e.sheet.name for e in self.examined if e.names_classes and e.n_found] if found else []
        if len(found) + len(others) > 1:
            names = [name[len(self.top) :] for name in found] + others
            if "manifest.csv" in [name.lower() for name in others]:
                return None
            raise UnreadableSource(
                "One manifest or split file", f"found {', '.join(names)}", "Keep one, or call it manifest.csv."
            )
        return found[0] if found else None

    def chosen(self) -> list[Examined]:
        """The table that names the classes, or one for each part; empty if there is none."""
        if self.given is not None:
            first = self.examined[0]
            if first.cause is not None:
                raise UnreadableSource(
                    _EXPECTED,
                    f"'{printable(first.sheet.name)}' {first.cause.removeprefix('it ')}",
                    "Call the columns path and label, or name the column of classes with --label.",
                )
            return [first]
        usable = [e for e in self.examined if e.names_classes and (e.n_found or _is_plain_manifest(e))]
        found = [e for e in usable if e.n_found] or usable
        called = [e for e in found if PurePosixPath(e.sheet.name).name.lower() == "manifest.csv"]
        if len(called) == 1 or len(found) < 2:
            return called if len(called) == 1 else found
        return self._by_part(found) or [self._best(found)]

    def _by_part(self, found: list[Examined]) -> list[Examined]:
        """Tables that are one for each part, by their names, and list different images; else none."""
        parts = [part_in(e.sheet.name) for e in found]
        return found if None not in parts and len(set(parts)) == len(parts) else []

    def _best(self, found: list[Examined]) -> Examined:
        """The one table that lists more images than the others, or as many and groups them.

        Raises UnreadableSource where none stands out.
        """
        found = sorted(found, key=_worth, reverse=True)
        if _worth(found[0]) == _worth(found[1]):
            names = ", ".join(printable(e.sheet.name) for e in found)
            raise UnreadableSource(
                "One table with the classes of the images",
                f"found {names}",
                "Keep one, call it manifest.csv, or give the table itself instead of its folder.",
            )
        return found[0]

    def unused(self) -> list[Examined]:
        return [e for e in self.examined if e.cause and not _is_text(e)]

    def check_choice(self) -> None:
        """Raises InvalidOption for a chosen column that no table has."""
        for option, name in (("group", self.choice.group), ("label", self.choice.label)):
            if name is None or (option == "group" and self.choice.is_ungrouped):
                continue
            if all(find_column(e.sheet, name) is None for e in self.examined):
                have = "; ".join(f"'{printable(e.sheet.name)}': {e.sheet.columns_found}" for e in self.examined[:3])
                raise InvalidOption(
                    f"'{option}' names a column of a table beside the images",
                    f"'{printable(name)}' is none ({have or 'there is no table'})",
                    "Choose one of the columns.",
                )

    def refusal(self, error: UnreadableSource) -> UnreadableSource:
        """The cause that tables add to a layout that was not recognised; the error itself where they add none."""
        causes = [f"'{printable(e.sheet.name)}' was not used: {e.cause}" for e in self.unused()]
        causes += [_no_file(e) for e in self.examined if e.names_classes and not e.n_found]
        causes += [f"'{printable(name)}' was not used: {cause}" for name, cause in self.unread.items()]
        if not causes:
            return error
        found = "; ".join([error.found, *causes[:3]])
        remedy = "Save tables as CSV, with a column for the file and one for the class ('path' and 'label')."
        return UnreadableSource(error.expected, found, remedy)

    def candidates(self) -> list[tuple[Examined, GroupColumn]]:
        """Every column that could group the images, the coarsest first; see `GROUP_NAMES`."""
        found = [(e, g) for e in self.examined if e.columns.path is not None and e.n_found for g in e.columns.groups]
        return sorted(found, key=lambda pair: (pair[1].n_groups == pair[1].n_images, _level(pair[1].name)))


class _DiskIndex(FileIndex):
    """Whole paths only, for folders with more files than may be listed."""

    def __init__(self, source: Source) -> None:
        super().__init__(())
        self.source = source

    def has(self, name: str) -> bool:
        return self.source.has(name)


def _cause(sheet: Sheet, columns: Columns) -> str | None:
    """Why a table names no classes, in words."""
    words = (("path", columns.path is not None), ("label", columns.has_classes))
    missing = [word for word, is_there in words if not is_there]
    if missing:
        return f"it has no column {' and no column '.join(missing)} ({sheet.columns_found})"
    return None if sheet.rows else "it has no row"


def _no_file(examined: Examined) -> str:
    """Why a table with a file and a class in each row names nothing here, in words."""
    sheet, column = examined.sheet, examined.columns.path or 0
    first = next((cell for cell in sheet.cells(column) if cell), "")
    return (
        f"'{printable(sheet.name)}' was not used: no row names a file that is here, first '{printable(first)}' in the "
        f"column {printable(sheet.columns[column])}"
    )


def _is_sheet(name: str, depth: int = 0) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return depth == 0
    return suffix in SHEET_SUFFIXES or (not suffix and depth == 0 and bool(_BARE_TABLE.search(path.name)))


def _is_text(examined: Examined) -> bool:
    """Whether it is a text rather than a table: a README, a licence."""
    return examined.sheet.name.lower().endswith(".txt") and not examined.n_found


def _is_plain_manifest(examined: Examined) -> bool:
    """Whether the columns are called path and label, so that it is the listing even where no file is found."""
    return {"path", "label"} <= {plain(column) for column in examined.sheet.columns}


def part_in(name: str) -> Part | None:
    """The part that the name of a table means: "ISIC_2019_Training_GroundTruth.csv" is of the training part."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(name).stem).lower())
    found = {part for word in words if (part := part_of(word))}
    return found.pop() if len(found) == 1 else None


def _level(name: str) -> int:
    """How coarse a group column is by its name: 0 is the coarsest."""
    return next((k for k, names in enumerate(GROUP_NAMES) if plain(name) in names), len(GROUP_NAMES))


def _worth(examined: Examined) -> tuple[int, bool, bool]:
    columns = examined.columns
    return examined.n_found, bool(columns.groups), columns.label is not None
