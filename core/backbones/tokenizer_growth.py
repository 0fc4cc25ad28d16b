"""How far the rules in a tokenizer.json may lengthen a text, judged before a library obeys them.

Rules that replace each letter by ten follow each other in a file of a few lines, and after a dozen of them no memory
holds the text. The library applies them while it reads the file already, to the tokens that stand in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.backbones.folder_rules import FETCH_AGAIN, TOKENIZER_BYTES
from core.errors import InvalidInput

MOST_GROWTH = 4096
"""All rules together may make a text so many times as long; those of known tokenizers stay below a hundred."""
READING, WRITING = ("normalizer", "pre_tokenizer"), ("decoder",)
"""Parts of the file that a text goes through on its way to tokens, and back."""
BYTES_OF_A_LETTER, OF_A_TABLE = 4, 16


def check_growth(file: Path) -> None:
    """Raise InvalidInput for a tokenizer.json that is too large or whose rules may lengthen a text beyond measure.

    Raises ValueError or RecursionError for a file that is not JSON.
    """
    if file.stat().st_size > TOKENIZER_BYTES:
        raise InvalidInput(f"{file} may have {TOKENIZER_BYTES} bytes", f"it has {file.stat().st_size}", FETCH_AGAIN)
    found = json.loads(file.read_bytes())
    for way in (READING, WRITING):
        if isinstance(found, dict) and _growth(rule for part in way for rule in _objects(found.get(part))) is None:
            raise InvalidInput(
                f"The rules of {file} may make a text {MOST_GROWTH} times as long",
                f"those of its {' and '.join(way)} lengthen it without end",
                "Choose another one: no tokenizer needs that.",
            )


def _growth(rules: Iterator[dict[str, Any]]) -> int | None:
    """How many times as long the rules may make a text, or None where it is more than MOST_GROWTH."""
    total = 1
    for rule in rules:
        total *= _factor(rule)
        if total > MOST_GROWTH:
            return None
    return total


def _factor(rule: dict[str, Any]) -> int:
    kind = rule.get("type")
    if kind == "Replace":
        return _replaced(rule.get("pattern"), str(rule.get("content", "")))
    if kind == "Prepend":
        return 1 + len(str(rule.get("prepend", "")))
    return {"ByteLevel": BYTES_OF_A_LETTER, "Precompiled": OF_A_TABLE}.get(str(kind), 1)


def _replaced(pattern: Any, content: str) -> int:
    """For a text that consists of what is replaced; an expression may match nothing at all, between any two letters."""
    told = pattern.get("String") if isinstance(pattern, dict) else pattern
    if isinstance(told, str) and told:
        return max(1, -(-len(content) // len(told)))
    return 1 + len(content)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The object and all objects inside it."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)
