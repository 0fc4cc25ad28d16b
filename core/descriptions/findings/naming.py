"""Whether a sentence names its class.

A class counts as named where the sentence holds all words of its name or of an alias, in any order, singular or plural,
in British or American spelling; and also where it holds only those words that tell the class from the others of the
set: among "glioma tumor" and "meningioma tumor" a glioma is named by "glioma". Words that every scan could bear
("normal", "benign", "mild") do not name a class alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from core.descriptions.findings.word_lists import word_list
from core.descriptions.findings.words import is_function_word, plain_words, stem, stems

NEUTRAL = "the finding"


class ClassNames:
    """The classes of a set of descriptions, as sentences may name them. aliases: further names of a class."""

    def __init__(self, classes: Sequence[str], aliases: Mapping[str, Collection[str]] | None = None) -> None:
        aliases = aliases or {}
        self.classes = tuple(classes)
        generic = word_list("generic")
        own = {name: _name_words(name) for name in classes}
        self._ways = {name: [own[name], *(_name_words(alias) for alias in aliases.get(name, ()))] for name in classes}
        for name, words in own.items():
            others = frozenset().union(*(own[other] for other in classes if other != name))
            if telling := words - others - generic:
                self._ways[name].append(telling | ((words & generic) - others))
        self._phrases = {name: _phrases([name, *aliases.get(name, ())]) for name in classes}
        self.words = frozenset().union(*own.values()) - generic if own else frozenset()
        every = [name for own_names in (classes, *aliases.values()) for name in own_names]
        self._any_phrase = re.compile(rf"(?:\b(?:an?|the)\s+)?(?:{_phrases(every).pattern})", re.IGNORECASE)

    def named(self, text: str) -> list[str]:
        """The classes that a sentence names."""
        found = set(stems(text))
        return [name for name in self.classes if any(way <= found for way in self._ways[name])]

    def without_name(self, text: str, name: str) -> str:
        """The sentence without the name of its class, where that stands as one phrase."""
        return self._phrases[name].sub(" ", text)

    def with_neutral_name(self, text: str) -> str:
        """The sentence with NEUTRAL in the place of each class's name: what it tells, of whatever class."""
        return self._any_phrase.sub(NEUTRAL, text)


def _name_words(name: str) -> frozenset[str]:
    words = plain_words(name)
    return frozenset(stem(word) for word in words if not is_function_word(word)) or frozenset(map(stem, words))


def _phrases(names: Sequence[str]) -> re.Pattern[str]:
    written = sorted((r"[\W_]+".join(map(re.escape, plain_words(name))) for name in names), key=len, reverse=True)
    return re.compile("|".join(rf"\b{each}(?:s|es)?\b" for each in written if each) or r"(?!)", re.IGNORECASE)
