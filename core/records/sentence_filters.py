"""Which sentences somebody asks for: by class, state, queue, words, findings and author."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.descriptions.review import DRAFT, FLAG, SECOND_READER
from core.errors import InvalidOption
from core.records.description_tables import SENTENCE_STATES
from core.records.sentences import Sentence
from core.text import shown

WITHDRAWN = "withdrawn"
QUEUES = ("pending", "flagged", "done")
ORDERS = ("given", "evidence", "class")


@dataclass(frozen=True)
class Filter:
    """What sentences have to be. Fields left None let all through.

    reader: whose queues these are. blind: what others decided does not show in them, before this reader decided.
    q: words that stand in the text, in any case. withdrawn: those taken out of the set instead of those in it.
    """

    class_name: str | None = None
    state: str | None = None
    queue: str | None = None
    q: str | None = None
    finding: str | None = None
    author_kind: str | None = None
    reader: str | None = None
    blind: bool = False
    withdrawn: bool = False

    def hides(self, sentence: Sentence) -> bool:
        """Whether this reader must not see what others made of a sentence yet."""
        return self.blind and (self.reader is None or self.reader not in sentence.standing)

    def state_shown(self, sentence: Sentence) -> str:
        """The state as this reader may know it."""
        return DRAFT if self.hides(sentence) else sentence.state

    def queues(self, sentence: Sentence) -> set[str]:
        """The queues a sentence is in: pending and flagged may both hold it."""
        found = set()
        undecided = sentence.state == DRAFT if self.reader is None else self.reader not in sentence.standing
        if undecided:
            found.add("pending")
        flagged = any(each.decision == FLAG for each in sentence.standing.values()) or sentence.state == SECOND_READER
        if flagged and not self.hides(sentence):
            found.add("flagged")
        return found or {"done"}

    def fits(self, sentence: Sentence, findings: Sequence[str] = ()) -> bool:
        """Whether a sentence is asked for. findings: what the checks say of it."""
        return (
            (self.class_name is None or sentence.class_name == self.class_name)
            and (self.state is None or self.state_shown(sentence) == self.state)
            and (self.queue is None or self.queue in self.queues(sentence))
            and (self.q is None or self.q.casefold() in sentence.text.casefold())
            and (self.author_kind is None or sentence.author_kind == self.author_kind)
            and (self.finding is None or (self.finding in findings and not self.hides(sentence)))
        )


def asked_for(
    class_name: str | None,
    state: str | None,
    queue: str | None,
    q: str | None,
    finding: str | None,
    author_kind: str | None,
    reader: str | None,
    blind: bool,
) -> Filter:
    """The filter that a query stands for; its state may also be "withdrawn". Raises InvalidOption for other words."""
    for name, value, words in (("state", state, (*SENTENCE_STATES, WITHDRAWN)), ("queue", queue, QUEUES)):
        if value is not None and value not in words:
            raise InvalidOption(f"A {name} of {', '.join(words)}", f"found '{shown(value, 60)}'", "Choose one of them.")
    withdrawn = state == WITHDRAWN
    return Filter(
        class_name=class_name,
        state=None if withdrawn else state,
        queue=queue,
        q=q or None,
        finding=finding,
        author_kind=author_kind,
        reader=reader or None,
        blind=blind,
        withdrawn=withdrawn,
    )


def in_order(
    sentences: Sequence[Sentence],
    order: str,
    classes: Sequence[str] = (),
    agreement: Mapping[str, float] | None = None,
    hidden: Callable[[Sentence], bool] = lambda _: False,
) -> list[Sentence]:
    """Sentences as given, class by class, or those first whose agreement with images is lowest.

    classes: the order of classes. agreement: {sentence: 0 to 1}; sentences without one, or `hidden`, come last.
    """
    if order == "class":
        names = dict.fromkeys([*classes, *(each.class_name for each in sentences)])
        place = {name: at for at, name in enumerate(names)}
        return sorted(sentences, key=lambda each: (place[each.class_name], each.position))
    if order == "evidence":
        known = agreement or {}
        last = float("inf")
        return sorted(sentences, key=lambda each: (last if hidden(each) else known.get(each.id, last), each.position))
    return sorted(sentences, key=lambda each: each.position)
