"""What a language model answered, read as data: which sentences can be drafts, and why the others cannot.

Whatever stands in a text is never followed: no sentence changes what is asked, stored or decided.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.descriptions.findings.wording import foreign_reason
from core.descriptions.writing.prompts import MOST_SENTENCES
from core.errors import InvalidInput
from core.text import NAME_LENGTH, shown, text_fault

LONGEST_TEXT = 400_000
"""Characters of an answer that are looked through."""
LONGEST_SENTENCE = 400
FEWEST_WORDS = 3
MOST_ANSWERED = 5 * MOST_SENTENCES
MOST_PLACES = 200
"""Places of a text at which an object may begin."""
THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
MARKUP = re.compile(r"<[/!]?[a-zA-Z]|&(?:#\d+|#x[0-9a-fA-F]+|[a-z]{2,8});")
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.|\bjavascript:", re.IGNORECASE)
TO_THE_READER = re.compile(
    r"\b(ignore|disregard|forget)\b.{0,40}\b(instruction|prompt|rule|above|previous)"
    r"|\b(system|developer) prompt\b|\bas an? (ai|language model|assistant)\b|\bi('m| am) (sorry|unable)\b"
    r"|\bi can(not|'t)\b|\bmark\b.{0,40}\bas approved\b|\bapprove (all|every|each|these)\b",
    re.IGNORECASE,
)
BULLET = re.compile(r"^(?:[-*•–]\s+|\(?\d{1,3}[.)]\s+)+")


class Written(BaseModel):
    """The answer about one class, as the model was asked to give it. Further fields are left unread."""

    model_config = ConfigDict(strict=True, extra="ignore")

    class_name: Annotated[str, Field(alias="class", min_length=1, max_length=NAME_LENGTH)]
    sentences: Annotated[list[Any], Field(min_length=1, max_length=MOST_ANSWERED)]


@dataclass(frozen=True)
class Dropped:
    """A sentence that was left out, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class ReadAnswer:
    """What of an answer can be drafts."""

    sentences: tuple[str, ...]
    dropped: tuple[Dropped, ...]


class UnusableAnswer(InvalidInput):
    """An answer of which nothing can be a draft. Asking again may give a better one."""

    code = "unusable_answer"


def read_answer(text: str, class_name: str, n: int, known: Collection[str] = ()) -> ReadAnswer:
    """The sentences about a class in an answer. Raises UnusableAnswer with the reason where there are none.

    n: at most so many are kept. known: sentences that exist already, see `same_words`; repeats of them are dropped.
    """
    written = _find(text, class_name)
    kept: list[str] = []
    dropped: list[Dropped] = []
    seen = {same_words(each) for each in known}
    for each in written.sentences:
        sentence = _tidied(each) if isinstance(each, str) else ""
        reason = _fault(each, sentence, seen)
        if reason is None and len(kept) == n:
            reason = f"more than the {n} that were asked for"
        if reason is None:
            kept.append(sentence)
            seen.add(same_words(sentence))
        else:
            dropped.append(Dropped(shown(each if isinstance(each, str) else json.dumps(each, default=str)), reason))
    if not kept:
        first = f"{dropped[0].reason}: '{shown(dropped[0].text, 80)}'"
        raise _unusable(class_name, f"none of {len(dropped)} sentences can be used; the first {first}")
    return ReadAnswer(tuple(kept), tuple(dropped))


def answer_schema(class_name: str) -> dict[str, Any]:
    """The JSON schema of an answer about a class, for servers that hold a model to one."""
    return {
        "type": "object",
        "properties": {
            "class": {"type": "string", "enum": [class_name]},
            "sentences": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["class", "sentences"],
        "additionalProperties": False,
    }


def same_words(text: str) -> str:
    """The form in which two sentences are compared for being the same one."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _find(text: str, class_name: str) -> Written:
    """The last object of the asked shape: models think aloud, show the shape, and answer at the end."""
    told, wrong = "no JSON object", None
    plain = THOUGHT.sub("", text[:LONGEST_TEXT])
    if not plain.strip():
        raise _unusable(class_name, "it is empty")
    right = None
    for found in _objects(plain):
        try:
            written = Written.model_validate(found)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the object"
            told = f"an object of another shape ({place}: {first['msg']})"
            continue
        if _folded(written.class_name) == _folded(class_name):
            right = written
        else:
            wrong = written.class_name
    if right is not None:
        return right
    if wrong is not None:
        raise _unusable(class_name, f"it is about '{shown(wrong, 60)}'")
    cut = ", it breaks off" if told == "no JSON object" and "{" in plain else ""
    raise _unusable(class_name, f"it holds {told}{cut}")


def _objects(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    for _ in range(MOST_PLACES):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield found


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _tidied(text: str) -> str:
    """On one line, without a list's mark before it or stars of emphasis around its words."""
    line = " ".join(unicodedata.normalize("NFC", text.replace("**", "")).split())
    return BULLET.sub("", line).strip()


def _fault(given: Any, sentence: str, seen: Collection[str]) -> str | None:
    """Why this is no draft, in words that follow "the sentence"; None for one that can be."""
    if not isinstance(given, str):
        return "is no text"
    if fault := text_fault(given, lines=True) or text_fault(sentence):
        return f"holds what no sentence may ({fault})"
    if not sentence:
        return "is empty"
    if len(sentence) > LONGEST_SENTENCE:
        return f"has more than {LONGEST_SENTENCE} characters"
    if MARKUP.search(sentence):
        return "holds markup"
    if ADDRESS.search(sentence):
        return "holds an address"
    if TO_THE_READER.search(sentence):
        return "speaks to its reader and not of an image"
    if len(re.findall(r"\w+", sentence)) < FEWEST_WORDS:
        return f"has fewer than {FEWEST_WORDS} words"
    if same_words(sentence) in seen:
        return "repeats another one"
    return foreign_reason(sentence)


def _unusable(class_name: str, found: str) -> UnusableAnswer:
    return UnusableAnswer(
        f"A JSON object with sentences about '{shown(class_name, 60)}'",
        found,
        "Try again, or choose another model or fewer sentences.",
    )
