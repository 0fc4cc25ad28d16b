"""CSV with the columns class and sentence; further columns are read over."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.errors import UnreadableSource

COLUMNS = ("class", "sentence")
DETAILS = ("id", "state", "author", "reason", "revision")
EXPECTED = "CSV with the columns class and sentence"


def read_csv(text: str, name: str) -> dict[str, list[str]]:
    """Sentences by class. Raises UnreadableSource without the two columns or for what is no CSV."""
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        columns = [column.strip().lower() for column in rows.fieldnames or []]
        if not set(COLUMNS) <= set(columns):
            found = ", ".join(columns)[:200]
            raise UnreadableSource(EXPECTED, f"'{name}' has the columns {found}", "Rename the columns.")
        rows.fieldnames = columns
        table: dict[str, list[str]] = {}
        for row in rows:
            table.setdefault((row["class"] or "").strip(), []).append(row["sentence"] or "")
    except csv.Error as error:
        raise UnreadableSource(EXPECTED, f"'{name}' is no CSV ({error})", "Save it as CSV in UTF-8.") from None
    table.pop("", None)
    return table


def write_csv(table: Mapping[str, Sequence[str]]) -> str:
    """The table as `read_csv` reads it."""
    return write_rows(COLUMNS, ({"class": name, "sentence": text} for name, texts in table.items() for text in texts))


def write_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under these columns; further values are left out, missing ones empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
