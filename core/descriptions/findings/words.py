"""Words of a sentence in the form in which sentences are compared: lower case, one spelling, singular."""

from __future__ import annotations

import re
from functools import lru_cache

from core.descriptions.findings.word_lists import one_spelling, word_list

_WORD = re.compile(r"[^\W_]+")


def plain_words(text: str) -> list[str]:
    """The words in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def stems(text: str) -> list[str]:
    """The words in one spelling and in the singular."""
    return [stem(word) for word in plain_words(text)]


def content(text: str) -> list[str]:
    """The stems of the words that carry a finding."""
    return [stem(word) for word in plain_words(text) if not is_function_word(word)]


def is_function_word(word: str) -> bool:
    """Whether a word in lower case carries no finding."""
    return word in word_list("function_words")


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """One form for British and American spelling, singular and plural: "tumours" and "tumor" give the same."""
    if word in one_spelling():
        return one_spelling()[word]
    if word.endswith("ies") and len(word) > 4:
        word = f"{word[:-3]}y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = one_spelling().get(word, word)
    return re.sub(r"our$", "or", word.replace("ae", "e").replace("oe", "e"))
