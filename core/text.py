"""Text from people and files: one rule for what may be kept, shown on a screen and sent on to a text tower.

Refused are NUL and other control characters, halves of surrogate pairs (no file and no database holds them), the marks
that turn the direction of what follows (a name could pretend to be another), and places that never hold a character.
Joiners (U+200C, U+200D) stay: Persian, Hindi and many others cannot be written without them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from core.errors import InvalidInput

NAME_LENGTH = 200
"""Characters in the name of a set, a class, a model or a person."""
SENTENCE_LENGTH = 2000
"""Characters in a sentence, a template or a note."""
REPLACEMENT = "\ufffd"

_SURROGATES = "\ud800-\udfff"
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f"
    "\u2028\u2029"  # they break a line as controls do
    "\u202a-\u202e\u2066-\u2069"
    f"{_SURROGATES}"
    "\ufdd0-\ufdef\ufffe\uffff]"
)
_UNSTORABLE = re.compile(f"[\x00{_SURROGATES}]")
_KINDS = (
    ("\u2028\u2029", "a line break"),
    ("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "a mark that turns the direction of text"),
)


def text_fault(text: str, *, lines: bool = False) -> str | None:
    """What makes a text unfit to be kept, in words; None for a fit one. lines: line feeds and tabs are fit too."""
    for found in _UNFIT.finditer(text):
        if not (lines and found.group() in "\n\t"):
            return f"found {_kind(found.group())} (U+{ord(found.group()):04X}) at character {found.start() + 1}"
    return None


def fit_text(
    text: str, what: str = "A text", *, longest: int = SENTENCE_LENGTH, may_be_empty: bool = False, lines: bool = False
) -> str:
    """The text in NFC, without spaces around it.

    what: how errors call it, such as "A name". lines: it may have several lines; their ends become "\\n". Raises
    InvalidInput for an unfit one (see `text_fault`), for one of more than `longest` characters, and for an empty one.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n") if lines else text
    if fault := text_fault(text, lines=lines):
        kinds = "control characters, marks of direction or halves of characters"
        raise InvalidInput(f"{what} without {kinds}", fault, "Take it out.")
    kept = unicodedata.normalize("NFC", text).strip()
    if len(kept) > longest:
        raise InvalidInput(f"{what} of at most {longest} characters", f"found {len(kept)}", "Shorten it.")
    if not kept and not may_be_empty:
        raise InvalidInput(f"{what} of 1 to {longest} characters", "found none", "Write one.")
    return kept


def fit_name(text: str, what: str = "A name") -> str:
    """A name of up to 200 characters, in NFC and on one line. Raises InvalidInput, as `fit_text` does."""
    return fit_text(text, what, longest=NAME_LENGTH)


def shown(text: str, longest: int = 200) -> str:
    """Any text made fit for a screen, a log or an answer: unfit characters replaced, cut where it is too long."""
    text = _UNFIT.sub(REPLACEMENT, text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def storable(value: Any) -> Any:
    """A value for JSON in which every text, key or not, has what no database and no answer can hold replaced."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, (list, tuple)) else value


def _kind(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "half of a surrogate pair"
    return next((words for members, words in _KINDS if character in members), _control_or_none(character))


def _control_or_none(character: str) -> str:
    return "a control character" if unicodedata.category(character) == "Cc" else "a place without a character"
