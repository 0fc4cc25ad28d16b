"""What pictures a phrase speaks of, and whether two phrases speak of different ones. Words: `modalities.toml`."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path


def contradict(one: str, other: str) -> bool:
    """Whether two phrases cannot mean the same pictures: "skin photographs" and "breast ultrasound".

    They can where one of them names no technique and no part of the body that is known here.
    """
    pairs = zip(_spoken_of(one), _spoken_of(other), strict=True)
    return any(first and second and not first & second for first, second in pairs)


def _spoken_of(phrase: str) -> tuple[frozenset[str], ...]:
    """Techniques and parts of the body that a phrase names."""
    said = _spaced(phrase)
    return tuple(frozenset(name for name, words in axis.items() if words.search(said)) for axis in _axes())


@cache
def _axes() -> tuple[dict[str, re.Pattern[str]], ...]:
    lists = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple({name: _any_of(words) for name, words in lists[axis].items()} for axis in ("technique", "part"))


def _any_of(words: list[str]) -> re.Pattern[str]:
    ways = [word if word.isupper() else f"(?i:{_spaced(word)})" for word in words]
    return re.compile(rf"\b(?:{'|'.join(ways)})s?\b")


def _spaced(text: str) -> str:
    """One space between words, whatever separated them."""
    return " ".join(re.findall(r"[^\W_]+", text))
