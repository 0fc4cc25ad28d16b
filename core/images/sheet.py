"""Tables as text files: whatever encoding and separator a spreadsheet wrote, as columns and rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core.errors import UnreadableSource
from core.images.archive import printable

SHEET_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
OTHER_TABLES = {
    ".xlsx": "an Excel table",
    ".xlsm": "an Excel table",
    ".xls": "an Excel table",
    ".ods": "an OpenDocument table",
    ".numbers": "a Numbers table",
    ".parquet": "a Parquet table",
    ".feather": "a Feather table",
    ".sav": "an SPSS table",
    ".dta": "a Stata table",
}
"""Tables that are not read as they are, by suffix."""

_MAGIC = (
    (b"PK\x03\x04", "an Excel or OpenDocument table"),
    (b"\xd0\xcf\x11\xe0", "an old Excel table"),
    (b"PAR1", "a Parquet table"),
)
_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"\"?sep=(?P<mark>.)\"?[;,\t ]*(\r\n|\r|\n)", re.IGNORECASE)
_TRIED_ROWS = 20
_MOST_COLUMNS = 512
_MOST_CELLS = 5_000_000
_SAVE_AS_CSV = "Save it as 'CSV UTF-8' in the spreadsheet."
# Three letters with accents in a row are no Western European word: the bytes are another encoding.
_OTHER_ALPHABET = re.compile(r"[^\x00-\x7f]{3}")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\x80-\x9f]")


@dataclass(frozen=True)
class Sheet:
    """A table. columns: names as written. rows: (number of the row in a spreadsheet, cells), blank rows left out.

    has_header: whether the first row names the columns; without one they are called "column 1" and so on. notes: what
    was guessed while reading, in sentences.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]
    has_header: bool = True
    notes: tuple[str, ...] = ()

    def cells(self, column: int) -> list[str]:
        """The cells of one column, "" where a row is too short."""
        return [cells[column] if column < len(cells) else "" for _, cells in self.rows]

    def without_header(self) -> Sheet:
        """The same where the first row is data."""
        columns = tuple(f"column {number}" for number in range(1, len(self.columns) + 1))
        first = self.rows[0][0] - 1 if self.rows else 1
        return Sheet(self.name, columns, ((first, list(self.columns)), *self.rows), False, self.notes)

    @property
    def columns_found(self) -> str:
        """The columns for a sentence, at most twenty."""
        shown = ", ".join(printable(column) or "(no name)" for column in self.columns[:20])
        return f"columns found: {shown}{', ...' if len(self.columns) > 20 else ''}" if shown else "it is empty"


def read_sheet(content: bytes, name: str) -> Sheet:
    """The table in a text file: UTF-8, UTF-16 or Windows-1252; comma, semicolon, tab, bar or spaces between cells.

    Excel's first line `sep=;` is followed. Raises UnreadableSource, naming the file, for other kinds of tables, other
    encodings and malformed text.
    """
    text, notes = decode_text(content, name)
    given = _SEPARATOR_LINE.match(text)
    if given:
        text = text[given.end() :]
    separator = given["mark"] if given else _separator(text)
    records = _records(text, separator, name)
    first = 2 if given else 1
    header: list[str] = next(records, [])
    while header and not any(cell.strip() for cell in header):
        header, first = next(records, []), first + 1
    if len(header) > _MOST_COLUMNS:
        raise UnreadableSource(
            f"A table of at most {_MOST_COLUMNS} columns", f"'{printable(name)}' has {len(header):,}", "Leave some out."
        )
    rows = tuple(_numbered_rows(records, first + 1, name))
    return Sheet(name, tuple(_trimmed(cell) for cell in header), rows, True, tuple(notes))


def _numbered_rows(records: Iterator[list[str]], first: int, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank; cells are counted, since a short text can hold very many."""
    n_cells = 0
    for number, record in enumerate(records, first):
        n_cells += len(record)
        if n_cells > _MOST_CELLS:
            raise UnreadableSource(
                f"A table of at most {_MOST_CELLS:,} cells", f"'{printable(name)}' has more", "Keep the needed columns."
            )
        if any(cell.strip() for cell in record):
            yield number, [_trimmed(cell) for cell in record]


def other_table(name: str) -> str | None:
    """What kind of table a file of this name is that is not read, or None."""
    return OTHER_TABLES.get(PurePosixPath(name).suffix.lower())


def _trimmed(cell: str) -> str:
    # Tabs and line ends stay: a cell that begins with one is a spreadsheet's formula in disguise.
    return cell.strip(" \u00a0")


def decode_text(content: bytes, name: str) -> tuple[str, list[str]]:
    """The text without byte-order mark, and a note where the encoding was guessed. Raises UnreadableSource."""
    kind = next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)
    if kind:
        raise UnreadableSource("A table as text", f"'{printable(name)}' is {kind}", _SAVE_AS_CSV)
    encoding = _unicode(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return _windows_text(content, name)
    if "\x00" in text:
        raise UnreadableSource("A table of plain text", f"found binary content in '{printable(name)}'", _SAVE_AS_CSV)
    return text.removeprefix("\ufeff"), []


def _unicode(content: bytes) -> str:
    """The Unicode encoding of the bytes, by its mark or by where UTF-16 has its zeros."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = content[:400]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if len(start) >= 4 and odd > len(start) // 4 and not even:
        return "utf-16-le"
    return "utf-16-be" if len(start) >= 4 and even > len(start) // 4 and not odd else "utf-8-sig"


def _windows_text(content: bytes, name: str) -> tuple[str, list[str]]:
    """Text in the Western European encoding of Windows. Raises UnreadableSource if it does not look like that."""
    text = content.decode("cp1252", errors="replace")
    if "\ufffd" in text or _OTHER_ALPHABET.search(text) or _CONTROL.search(text):
        raise UnreadableSource(
            "A table in UTF-8", f"found another encoding in '{printable(name)}'", _SAVE_AS_CSV
        ) from None
    note = f"'{printable(name)}' is not in UTF-8 and was read as Windows-1252; check letters with accents."
    return text, [note]


def _separator(text: str) -> str:
    """What stands between cells: the mark that cuts the rows like the first one; spaces as a last resort."""
    head = text[: 64 * 1024]
    found = {mark: _widths(head, mark) for mark in _SEPARATORS}
    cutting = [mark for mark in _SEPARATORS if found[mark][0] > 1]
    if cutting:
        return max(cutting, key=lambda mark: (_alike(found[mark]), found[mark][0], mark == ","))
    spaced = _widths(head, " ")
    return " " if spaced[0] > 1 and _alike(spaced) == 1.0 else ","


def _widths(text: str, separator: str) -> list[int]:
    """How many cells each of the first rows has with this separator; never empty."""
    widths = []
    try:
        for record in _reader(text, separator):
            if any(cell.strip() for cell in record):
                widths.append(len(record))
            if len(widths) > _TRIED_ROWS:
                break
    except csv.Error:
        pass  # told when the whole table is read
    return widths or [1]


def _alike(widths: list[int]) -> float:
    """Share of the rows that are as wide as the first, in tenths: a few short rows decide nothing."""
    return round(sum(width == widths[0] for width in widths) / len(widths), 1)


def _reader(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator == " ")


def _records(text: str, separator: str, name: str) -> Iterator[list[str]]:
    """Records of a CSV with any line ends."""
    reader = _reader(text, separator)
    try:
        yield from reader
    except csv.Error as error:
        raise UnreadableSource(
            "A well-formed CSV file", f"line {reader.line_num} of '{printable(name)}': {error}"
        ) from error
