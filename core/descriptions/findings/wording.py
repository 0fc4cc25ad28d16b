"""Language and length of a sentence, judged by its words alone."""

from __future__ import annotations

import re
import unicodedata

from core.descriptions.findings.word_lists import word_list
from core.descriptions.findings.words import plain_words

FEWEST_WORDS, MOST_WORDS = 3, 50
_LETTERS_OF_OTHERS = re.compile("[äöüßàâçèêëîïôûùñáíóúãõåøæœąćęłńśźż]", re.IGNORECASE)
OTHER_SCRIPT_SHARE = 0.2
FEWEST_TO_JUDGE = 4


def foreign_reason(text: str) -> str | None:
    """Why a sentence seems not to be English, or None.

    Another script; more words of other languages than English ones, two at least; or letters that English lacks where
    no English function word stands. Names with an accent (Sjögren) in an English sentence pass.
    """
    if not text.isascii() and _is_of_another_script(text):
        return "is not written in Latin letters"
    words = plain_words(text)
    english = sum(word in word_list("english") for word in words)
    foreign = [word for word in words if _is_foreign(word)]
    is_foreign = len(foreign) > max(english, 1) or (foreign and not english)
    if len(words) >= FEWEST_TO_JUDGE and is_foreign:
        return f"seems not to be English ('{', '.join(dict.fromkeys(foreign))}')"
    return None


def length_reason(text: str, beside_name: str) -> str | None:
    """Why a sentence is too short or too long to say one thing, or None. beside_name: the text without its class."""
    words = len(plain_words(text))
    if words > MOST_WORDS:
        return f"has {words} words; beyond {MOST_WORDS} single features blur, so split it"
    if words < FEWEST_WORDS:
        return f"has {words} words, too few to describe anything"
    if not plain_words(beside_name):
        return "says its class's name and nothing else"
    return None


def _is_foreign(word: str) -> bool:
    return word in word_list("foreign") or bool(_LETTERS_OF_OTHERS.search(word))


def _is_of_another_script(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    others = [letter for letter in letters if not _is_latin_or_greek(letter)]
    return bool(letters) and len(others) > OTHER_SCRIPT_SHARE * len(letters)


def _is_latin_or_greek(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("LATIN", "GREEK", "MICRO", "FEMININE", "MASCULINE"))
