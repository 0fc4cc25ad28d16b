"""JSON {"class": ["sentence", ...]}, as CuPL publishes its prompts and BioVLM its attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import UnreadableSource

SHAPE = '{"class": ["sentence", ...]}'


def read_json(text: str, name: str) -> dict[str, list[str]]:
    """Sentences by class. Raises UnreadableSource for another shape, and where a class stands twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise UnreadableSource(f"Each class once in '{name}'", f"'{twice[:80]}' stands twice", "Join their lists.")
        return found

    try:
        table: Any = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}: {error.msg}"
        raise UnreadableSource(
            f"JSON of the shape {SHAPE}", f"'{name}' is no JSON ({where})", "Mend that line."
        ) from None
    except RecursionError:
        raise UnreadableSource(f"JSON of the shape {SHAPE}", f"'{name}' is nested far deeper", "Flatten it.") from None
    fits = isinstance(table, dict) and all(
        isinstance(texts, list) and all(isinstance(t, str) for t in texts) for texts in table.values()
    )
    if not fits:
        raise UnreadableSource(
            f"JSON of the shape {SHAPE}", f"'{name}' is JSON of another shape", "Bring it into this shape."
        )
    return table


def write_json(table: Mapping[str, Sequence[str]]) -> str:
    """The table as `read_json` reads it."""
    return json.dumps({name: list(texts) for name, texts in table.items()}, ensure_ascii=False, indent=2) + "\n"
