"""The word lists of `words.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of a list that is kept as one string."""
    return frozenset(_lists()[name].split())


@cache
def one_spelling() -> dict[str, str]:
    """Words -> the form they are compared in, where no rule gives it."""
    return dict(_lists()["one_spelling"])


@cache
def negation_pattern() -> re.Pattern[str]:
    """Matches each way to say that something is not there."""
    return re.compile(_of_whole_words(_lists()["negated"]).pattern, re.IGNORECASE)


@cache
def hidden_patterns() -> dict[str, re.Pattern[str]]:
    """Topics that no image shows -> what matches their words, in lower case."""
    return {topic: _of_whole_words(patterns) for topic, patterns in _lists()["not_visible"].items()}


@cache
def any_hidden_pattern() -> re.Pattern[str]:
    """Matches the words of every such topic, in lower case: most sentences need no other search."""
    return _of_whole_words([each for patterns in _lists()["not_visible"].values() for each in patterns])


@cache
def _lists() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


def _of_whole_words(patterns: Sequence[str]) -> re.Pattern[str]:
    """Of text in lower case: a search that minds no case takes twice as long."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(patterns)})(?!\w)")
