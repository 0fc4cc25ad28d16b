"""What no image shows, and what is said not to be there.

The words of `words.toml` decide. The name of the class is taken out of a sentence before: a class may be called
"post-treatment change".
"""

from __future__ import annotations

import re

from core.descriptions.findings.word_lists import any_hidden_pattern, hidden_patterns, negation_pattern

AFTER = 4
"""So many words after a negation are shown with it."""


def hidden_things(text: str) -> dict[str, list[str]]:
    """Topics that no image shows -> the words of the sentence that speak of them."""
    text = text.lower()
    if not any_hidden_pattern().search(text):
        return {}
    found = {topic: [each.group() for each in words.finditer(text)] for topic, words in hidden_patterns().items()}
    return {topic: list(dict.fromkeys(words)) for topic, words in found.items() if words}


def negations(text: str) -> list[str]:
    """What the sentence says is not there, each with its negation: "without a dural tail"."""
    return [
        " ".join([each.group().lower(), *re.findall(r"[\w-]+", _clause(text[each.end() :]))[:AFTER]])
        for each in negation_pattern().finditer(text)
    ]


def _clause(text: str) -> str:
    return re.split(r"[,;:.()]", text, maxsplit=1)[0]
