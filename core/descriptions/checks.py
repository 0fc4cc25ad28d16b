"""Checks of class descriptions that a person should see before relying on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from textwrap import shorten

from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.cut import CountsTokens, token_counts
from core.descriptions.findings.finding import Finding
from core.descriptions.findings.naming import ClassNames
from core.descriptions.findings.other_class import Told, told_by_others, told_by_pack
from core.descriptions.findings.repeats import alike, repeats
from core.descriptions.findings.visibility import hidden_things, negations
from core.descriptions.findings.wording import foreign_reason, length_reason
from core.descriptions.packs import known_names, known_sentences

Row = tuple[str, str]
"""A class and one of its sentences."""
Placed = tuple[int, str, str]
"""Place of the sentence, kind of finding, detail."""
SHOWN_OF_LOST = 100
"""So many characters of what a text tower does not read are shown."""


def check_descriptions(
    descriptions: DescriptionSet,
    *backbones: CountsTokens,
    aliases: Mapping[str, Collection[str]] | None = None,
    pictures: str | None = None,
) -> list[Finding]:
    """All findings that words alone give, sentence by sentence, class by class.

    backbones: texts longer than one of these reads are found too; a tokenizer is enough. aliases: further names of a
    class that count as naming it; None takes those of a built-in pack that describes these classes. pictures: what they
    are ("skin photographs"), so that no pack of other pictures judges. What needs features of a text tower is found by
    `core.descriptions.findings.closeness`.
    """
    rows = [(name, text) for name, texts in descriptions.sentences.items() for text in texts]
    classes = tuple(descriptions.sentences)
    names = ClassNames(classes, known_names(classes, pictures) if aliases is None else aliases)
    found: list[list[Finding]] = [[] for _ in rows]
    told = known_sentences(classes, pictures)
    looks = (_repeated(rows, names), _single(rows, names), _of_others(rows, names, told), _too_long(rows, backbones))
    for findings in looks:
        for place, kind, detail in findings:
            found[place].append(Finding(*rows[place], kind, detail))
    return [each for of_one in found for each in of_one]


def _repeated(rows: Sequence[Row], names: ClassNames) -> Iterator[Placed]:
    texts = [text for _, text in rows]
    for place, times in enumerate(repeats(texts)):
        if times > 1:
            yield place, "duplicate", f"stands {times} times in the set"
    for place, other in enumerate(alike(texts, names.words)):
        if other is not None:
            yield place, "near_duplicate", f"says nearly the same as '{rows[other][1]}' of '{rows[other][0]}'"


def _single(rows: Sequence[Row], names: ClassNames) -> Iterator[Placed]:
    for place, (name, text) in enumerate(rows):
        beside = names.without_name(text, name)
        if hidden := hidden_things(beside):
            topics = " and ".join(f"{topic} ({_quoted(words)})" for topic, words in hidden.items())
            yield place, "not_visible", f"speaks of {topics}, which no image shows"
        if denied := negations(beside):
            yield place, "negated", f"says {_quoted(denied)}; text towers read that as present"
        named = names.named(text)
        if name not in named:
            yield place, "class_missing", "does not name its class"
            if named:
                yield place, "near_other_class", f"names {_quoted(named)} and not its own class"
        if reason := foreign_reason(text):
            yield place, "language", reason
        if reason := length_reason(text, beside):
            yield place, "length", reason


def _of_others(rows: Sequence[Row], names: ClassNames, known: Mapping[str, Sequence[str]]) -> Iterator[Placed]:
    by_pack = told_by_pack(rows, known, names.words)
    for place, told in enumerate(by_pack if by_pack is not None else told_by_others(rows, names.words)):
        is_by_pack = by_pack is not None and rows[place][0] in known
        whose = "the built-in pack tells" if is_by_pack else "others tell"
        if told is not None and not _names_it_alone(rows[place], told, names):
            yield place, "near_other_class", f"tells what {whose} of '{told.class_name}' ({_quoted(told.words)})"


def _names_it_alone(row: Row, told: Told, names: ClassNames) -> bool:
    """Whether the sentence names the other class and not its own: that is said already."""
    named = names.named(row[1])
    return told.class_name in named and row[0] not in named


def _too_long(rows: Sequence[Row], backbones: Sequence[CountsTokens]) -> Iterator[Placed]:
    for backbone in backbones if rows else ():
        for place, count in enumerate(token_counts([text for _, text in rows], backbone)):
            if count.lost:
                lost = shorten(count.lost, SHOWN_OF_LOST, placeholder=" ...")
                read = f"the text tower of {backbone.name} reads {count.limit}"
                yield place, "too_long", f"{count.tokens} tokens; {read} and loses '{lost}'"


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
