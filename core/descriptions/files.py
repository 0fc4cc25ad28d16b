"""Description sets as files: JSON, CSV and the layouts of public repositories, read as data and never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.descriptions.description_set import DescriptionSet
from core.descriptions.layouts.catalogue import find_layout, layouts
from core.descriptions.layouts.csv_layout import read_csv, write_csv
from core.descriptions.layouts.json_layout import read_json, write_json
from core.descriptions.layouts.python_layout import read_python, write_python
from core.errors import NotFound, UnreadableSource
from core.text import fit_name, fit_text, shown

MAX_BYTES = 20_000_000
MOST_SENTENCES = 20_000
EXPECTED = 'A description file is JSON {"class": ["sentence", ...]} or CSV with the columns class and sentence'


def read_descriptions(path: Path, layout: str | None = None) -> DescriptionSet:
    """Read a file; its name becomes the source. Raises UnreadableSource with what was expected and found.

    layout: one of `layouts()`; without one the ending of the name says it.
    """
    if not path.is_file():
        raise NotFound("A description file", f"'{path.name}' does not exist", "Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableSource(EXPECTED, f"'{path.name}' is larger than 20 MB", "Split it.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableSource(EXPECTED, f"'{path.name}' is not UTF-8 text", "Save it as UTF-8.") from None
    return parse_descriptions(text, path.name, layout)


def parse_descriptions(text: str, name: str, layout: str | None = None) -> DescriptionSet:
    """Read the content of a description file called `name`. Raises UnreadableSource, InvalidInput, InvalidOption."""
    name = shown(name)
    table = _table(text, name, layout)
    if sum(len(texts) for texts in table.values()) > MOST_SENTENCES:
        raise UnreadableSource(f"At most {MOST_SENTENCES} sentences", f"'{name}' has more", "Split it.")
    sentences = {
        fit_name(label, f"The name of a class in '{name}'"): _clean(found, name) for label, found in table.items()
    }
    if not any(sentences.values()):
        raise UnreadableSource(EXPECTED, f"'{name}' holds no sentence", "Add sentences.")
    return DescriptionSet(sentences, f"file:{name}")


def layout_of(name: str) -> str:
    """The layout that the ending of a file's name stands for, JSON where none has it."""
    suffix = Path(name.lower()).suffix
    return next((layout.name for layout in layouts().values() if layout.suffix == suffix), "json")


def descriptions_text(table: Mapping[str, Sequence[str]], layout: str) -> str:
    """Sentences by class in a layout; `parse_descriptions` gives them back. Raises InvalidOption for an unknown one."""
    chosen = find_layout(layout)
    if chosen.assigned:
        return write_python(table, chosen.assigned)
    return write_csv(table) if chosen.suffix == ".csv" else write_json(table)


def write_descriptions(descriptions: DescriptionSet, path: Path, layout: str | None = None) -> None:
    """Write in a layout, by default as the name ends; `read_descriptions` gives the same sentences back."""
    path.write_text(descriptions_text(descriptions.sentences, layout or layout_of(path.name)), encoding="utf-8")


def _table(text: str, name: str, layout: str | None) -> dict[str, list[str]]:
    chosen = find_layout(layout or layout_of(name))
    if chosen.assigned:
        others = [each.assigned for each in layouts().values() if each.assigned]
        return read_python(text, name, [chosen.assigned, *others])
    return read_csv(text, name) if chosen.suffix == ".csv" else read_json(text, name)


def _clean(sentences: Sequence[str], name: str) -> tuple[str, ...]:
    """Sentences on one line each, empty ones left out. Raises InvalidInput for what no sentence may hold."""
    found = []
    for number, sentence in enumerate(sentences, 1):
        text = " ".join(sentence.split())
        if text:
            found.append(fit_text(text, f"Sentence {number} of a class in '{name}'"))
    return tuple(found)
