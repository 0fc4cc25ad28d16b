"""Description sets as files: JSON {class: [sentences]} and CSV with the columns class and sentence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from core.descriptions.description_set import DescriptionSet
from core.errors import NotFound, UnreadableSource

MAX_BYTES = 20_000_000
EXPECTED = 'A description file is JSON {"class": ["sentence", ...]} or CSV with the columns class and sentence'


def read_descriptions(path: Path) -> DescriptionSet:
    """Read a file; its name becomes the source. Raises UnreadableSource with what was expected and found."""
    if not path.is_file():
        raise NotFound("A description file", f"'{path.name}' does not exist", "Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableSource(EXPECTED, f"'{path.name}' is larger than 20 MB", "Split it.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableSource(EXPECTED, f"'{path.name}' is not UTF-8 text", "Save it as UTF-8.") from None
    return parse_descriptions(text, path.name)


def parse_descriptions(text: str, name: str) -> DescriptionSet:
    """Read the content of a description file called `name`."""
    table = _from_csv(text, name) if name.lower().endswith(".csv") else _from_json(text, name)
    sentences = {label: _clean(found) for label, found in table.items()}
    if not any(sentences.values()):
        raise UnreadableSource(EXPECTED, f"'{name}' holds no sentence", "Add sentences.")
    return DescriptionSet(sentences, f"file:{name}")


def write_descriptions(descriptions: DescriptionSet, path: Path) -> None:
    """Write as CSV if the name ends so, else as JSON; `read_descriptions` gives the same sentences back."""
    if path.suffix.lower() == ".csv":
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["class", "sentence"])
        writer.writerows((name, text) for name, texts in descriptions.sentences.items() for text in texts)
        path.write_text(out.getvalue(), encoding="utf-8")
        return
    table = {name: list(texts) for name, texts in descriptions.sentences.items()}
    path.write_text(json.dumps(table, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _from_json(text: str, name: str) -> dict[str, list[str]]:
    try:
        table: Any = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}: {error.msg}"
        raise UnreadableSource(EXPECTED, f"'{name}' is no JSON ({where})", "Mend that line.") from None
    fits = isinstance(table, dict) and all(
        isinstance(texts, list) and all(isinstance(t, str) for t in texts) for texts in table.values()
    )
    if not fits:
        raise UnreadableSource(EXPECTED, f"'{name}' is JSON of another shape", "Bring it into this shape.")
    return table


def _from_csv(text: str, name: str) -> dict[str, list[str]]:
    rows = csv.DictReader(io.StringIO(text))
    columns = [column.strip().lower() for column in rows.fieldnames or []]
    if not {"class", "sentence"} <= set(columns):
        raise UnreadableSource(EXPECTED, f"'{name}' has the columns {', '.join(columns)}", "Rename the columns.")
    rows.fieldnames = columns
    table: dict[str, list[str]] = {}
    for row in rows:
        table.setdefault((row["class"] or "").strip(), []).append(row["sentence"] or "")
    table.pop("", None)
    return table


def _clean(sentences: list[str]) -> tuple[str, ...]:
    return tuple(text for text in (" ".join(sentence.split()) for sentence in sentences) if text)
