"""The layouts that are known, from `layouts.json`: what files end with, and what Python files call their sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from core.errors import InvalidOption
from core.text import shown


@dataclass(frozen=True)
class Layout:
    """A layout. assigned: the name that a Python file gives its sentences, None for JSON and CSV."""

    name: str
    suffix: str
    title: str
    assigned: str | None = None


@cache
def layouts() -> dict[str, Layout]:
    """All layouts by name."""
    text = files(__package__).joinpath("layouts.json").read_text(encoding="utf-8")
    return {name: Layout(name, **values) for name, values in json.loads(text).items()}


def find_layout(name: str) -> Layout:
    """A layout by its name. Raises InvalidOption."""
    if name not in layouts():
        raise InvalidOption(f"A layout of {', '.join(layouts())}", f"found '{shown(name, 60)}'", "Choose one of them.")
    return layouts()[name]
