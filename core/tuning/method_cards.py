"""What every method says of itself, told without loading one.

The cards lie in `method_cards.json`, written by `make docs`, each beside a fingerprint of the files that it was made
from. A card whose files have changed, or that is missing, is asked of the method itself: slower, never wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from core.tuning.registry import check_method_name, get_method, method_file, method_names

FILE = "method_cards.json"
ALWAYS = ("contract", "option")
"""Modules of core/tuning that every card depends on."""
SHARED = re.compile(r"from core\.tuning\.(\w+) import ([^\n(]+|\([^)]*\))")


def method_cards() -> list[dict[str, Any]]:
    """The card of every method, by name; keys as in `Method.card`."""
    return [method_card(name) for name in method_names()]


def method_card(name: str) -> dict[str, Any]:
    """The card of a method. Raises InvalidOption with the nearest known name."""
    return dict(_entry(name)["card"])


@cache
def method_title(name: str) -> str:
    """The method's name as written in papers; the file name for a method that has left the project."""
    return str(method_card(name)["title"]) if name in method_names() else name


def method_options(name: str) -> list[dict[str, Any]]:
    """A method's options as `Options.schema` gives them. Raises InvalidOption."""
    return [dict(row) for row in _entry(name)["options"]]


def method_variants(name: str) -> dict[str, dict[str, Any]]:
    """Option values of "paper" and "reference" where they differ. Raises InvalidOption."""
    return {variant: dict(values) for variant, values in _entry(name)["variants"].items()}


def starter_method() -> str:
    """The method that is trained where none is named: the first of those that say to be offered first."""
    cards = [card for card in method_cards() if card["starter_place"]]
    return str(min(cards, key=lambda card: card["starter_place"])["name"])


@cache
def baseline_method() -> str:
    """The method that learns nothing, which every comparison holds the others against."""
    return next(str(card["name"]) for card in method_cards() if card["is_baseline"])


@cache
def simple_methods() -> tuple[str, ...]:
    """Methods that learn without steps: what is called better has to beat the best of them too."""
    return tuple(str(card["name"]) for card in method_cards() if card["is_simple"])


def write_cards() -> str:
    """The content of the file of cards, made from the methods themselves."""
    entries = {name: _asked(name) | {"made_from": fingerprint(name)} for name in method_names()}
    return json.dumps(entries, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def fingerprint(name: str) -> str:
    """SHA-256 (hex, 16 digits) over the text of the files that a method's card depends on."""
    text = method_file(name).read_text("utf-8")
    shared = {module for module, names in SHARED.findall(text) if "Config" in names or "option" in names}
    parts = [text, *((files("core.tuning") / f"{module}.py").read_text("utf-8") for module in sorted(shared))]
    parts += [(files("core.tuning") / f"{module}.py").read_text("utf-8") for module in ALWAYS]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _entry(name: str) -> dict[str, Any]:
    check_method_name(name)
    written = _written().get(name)
    return written if written and written["made_from"] == fingerprint(name) else _asked(name)


def _asked(name: str) -> dict[str, Any]:
    method = get_method(name)
    entry = {"card": method.card(), "options": method.Config.schema(), "variants": method.variants}
    # as JSON has them: lists for tuples, plain dicts for mappings
    return dict(json.loads(json.dumps(entry, default=dict)))


@cache
def _written() -> dict[str, Any]:
    path = files("core.tuning") / FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
