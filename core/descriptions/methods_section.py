"""How a description set came about, in the words of a paper's methods section. Only what is known is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

SOURCES = {
    "model": "drafted by the language model",
    "pack": "taken from the built-in collection",
    "file": "imported from a file by",
    "template": "made from class names by templates, saved by",
    "person": "written by",
}


@dataclass(frozen=True)
class ReviewFacts:
    """What was counted. sources: {(kind of author, author): sentences}. states: {state: sentences}.

    edited: sentences whose wording is not the first one any more. removed: taken out of the set. readers: names.
    reviewed: sentences somebody decided about. seconds: times between seeing a sentence and deciding. agreement: as
    `core.descriptions.agreement` gives it. catches: [{reader, planted_read, planted_caught}]. signed: (version, who,
    day, sentences) of the newest signed version.
    """

    name: str
    classes: int
    sources: Mapping[tuple[str, str], int]
    states: Mapping[str, int]
    edited: int = 0
    removed: int = 0
    readers: Sequence[str] = ()
    reviewed: int = 0
    seconds: Sequence[float] = ()
    agreement: Mapping[str, Any] = field(default_factory=dict)
    catches: Sequence[Mapping[str, Any]] = ()
    signed: tuple[int, str, str, int] | None = None


def methods_section(facts: ReviewFacts) -> str:
    """A paragraph of what is known, and a second one of what is not. An empty set gives one sentence."""
    total = sum(facts.sources.values())
    if not total:
        return f"The description set '{facts.name}' has no sentence yet."
    said = [
        _origin(facts, total),
        *_changes(facts),
        *_review(facts, total - facts.removed),
        *_agreement(facts),
        *_times(facts),
        *_catches(facts),
        *_signature(facts),
    ]
    missing = _missing(facts)
    return " ".join(said) + (f"\n\nNot known: {'; '.join(missing)}." if missing else "")


def _origin(facts: ReviewFacts, total: int) -> str:
    parts = [f"{n} {SOURCES[kind]} {author}" for (kind, author), n in facts.sources.items()]
    start = f"The description set '{facts.name}' was made from {_count(total, 'sentence')}"
    return f"{start} about {_count(facts.classes, 'class', 'classes')}: {', '.join(parts)}."


def _changes(facts: ReviewFacts) -> list[str]:
    parts = [
        f"{_count(n, 'sentence')} {'was' if n == 1 else 'were'} {what}"
        for n, what in ((facts.edited, "edited by people"), (facts.removed, "taken out of the set"))
        if n
    ]
    return [f"{' and '.join(parts)}."] if parts else []


def _review(facts: ReviewFacts, total: int) -> list[str]:
    if not facts.readers:
        return []
    who = f"{_count(len(facts.readers), 'reader')} ({', '.join(facts.readers)})"
    words = (("approved", "approved"), ("rejected", "rejected"), ("needs_second_reader", "left for a second reader"))
    parts = [f"{facts.states.get(state, 0)} {word}" for state, word in words]
    return [f"{who} reviewed {facts.reviewed} of {total} sentences: {', '.join(parts)}."]


def _agreement(facts: ReviewFacts) -> list[str]:
    several, pairs = facts.agreement.get("several"), [p for p in facts.agreement.get("pairs", ()) if p["n"]]
    if several:
        words = [f"percent agreement {_percent(several)}", _value(several, "alpha", "Krippendorff's alpha")]
        return [_told([*words, _value(several, "ac1", "Gwet's AC1")], several["n"], "two or more of the readers")]
    if pairs:
        words = [f"percent agreement {_percent(pairs[0])}", _value(pairs[0], "kappa", "Cohen's kappa")]
        return [_told([*words, _value(pairs[0], "ac1", "Gwet's AC1")], pairs[0]["n"], "both readers")]
    return []


def _told(values: Sequence[str], n: int, who: str) -> str:
    return f"Over the {_count(n, 'sentence')} that {who} decided about: {', '.join(values)}."


def _value(row: Mapping[str, Any], key: str, name: str) -> str:
    if row[key] is None:
        return f"{name} not defined"
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    interval = "" if low is None else f" (95% bootstrap interval {low:.2f} to {high:.2f})"
    return f"{name} {row[key]:.2f}{interval}"


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['percent']:.0f}%"


def _times(facts: ReviewFacts) -> list[str]:
    if not facts.seconds:
        return []
    timed = _count(len(facts.seconds), "decision")
    return [f"The median time per sentence was {median(facts.seconds):.1f} s ({timed} timed)."]


def _catches(facts: ReviewFacts) -> list[str]:
    parts = [f"{row['reader']} {row['planted_caught']} of {row['planted_read']}" for row in facts.catches]
    return [f"Of sentences planted wrong on purpose readers noticed: {', '.join(parts)}."] if parts else []


def _signature(facts: ReviewFacts) -> list[str]:
    if facts.signed is None:
        return []
    version, who, day, sentences = facts.signed
    return [f"Version {version} with {_count(sentences, 'approved sentence')} was signed by {who} on {day}."]


def _missing(facts: ReviewFacts) -> list[str]:
    known = {
        "a review, for nobody decided about these sentences": bool(facts.readers),
        "agreement, for no two readers decided about the same sentence": not facts.readers or bool(_agreement(facts)),
        "the time per sentence, which was not measured": not facts.readers or bool(facts.seconds),
        "whether readers notice wrong sentences, for none were planted": not facts.readers or bool(facts.catches),
        "who vouches for the wording, for no version is signed": facts.signed is not None,
    }
    return [what for what, is_known in known.items() if not is_known]


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or f'{one}s'}"
