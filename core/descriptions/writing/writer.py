"""What every writer of sentences offers, be it an endpoint or a model on this machine, and how one class is written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.descriptions.writing.answers import ReadAnswer, UnusableAnswer, read_answer
from core.descriptions.writing.messages import ClassRequest
from core.errors import Unavailable

TRIES = 3
"""So often a class is asked about before its answers count as unusable."""
KEPT_CHARACTERS = 4000
"""Of an answer that could not be used, so that a person can see why."""


class WriterAway(Unavailable):
    """The language model gave no answer. stop: whether all other classes would meet the same."""

    code = "language_model_away"

    def __init__(self, expected: str, found: str = "", remedy: str = "", *, stop: bool = False) -> None:
        super().__init__(expected, found, remedy)
        self.stop = stop


class Stopped(Exception):
    """Somebody asked the writing to stop while it waited."""


@dataclass
class Spent:
    """What requests took. Tokens as the model counted them, or judged by length where it does not say."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost + other.cost,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "requests": self.requests,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": round(self.cost, 6),
        }


@dataclass(frozen=True)
class Reply:
    """The text of one answer. ended: "stop", or why it ends early, such as "length"."""

    text: str
    ended: str = "stop"


class Writer(Protocol):
    """A language model that is asked for texts."""

    model: str

    @property
    def settings(self) -> dict[str, Any]:
        """How it is asked, for the record: no secret among it."""

    def ask(self, request: ClassRequest, attempt: int, spent: Spent) -> Reply:
        """The answer to the request's messages. spent: gets what it took, also where it fails.

        attempt: 0 first. Raises WriterAway, Stopped.
        """


@dataclass
class ClassWriting:
    """What came out for one class, filled as it goes, so that a failure leaves what was spent and said."""

    read: ReadAnswer | None = None
    spent: Spent = field(default_factory=Spent)
    unusable: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as kept with the part of a task."""
        read = self.read or ReadAnswer((), ())
        return {
            "sentences": list(read.sentences),
            "dropped": [{"text": each.text, "reason": each.reason} for each in read.dropped],
            "unusable": self.unusable,
            "spent": self.spent.as_dict(),
        }


def write_class(
    writer: Writer,
    request: ClassRequest,
    writing: ClassWriting,
    *,
    known: Collection[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> ReadAnswer:
    """Ask until an answer can be used, at most TRIES times, always with the same messages.

    known: sentences of the set, which are not drafted again. told: hears in words of each answer that is of no use.
    Raises UnusableAnswer for the last one, WriterAway, Stopped.
    """
    for attempt in range(TRIES):
        reply = writer.ask(request, attempt, writing.spent)
        try:
            writing.read = read_answer(reply.text, request.class_name, request.n, known)
            return writing.read
        except UnusableAnswer as error:
            found = error.found if reply.ended == "stop" else f"{error.found} (the model ended by '{reply.ended}')"
            writing.unusable.append({"text": reply.text[:KEPT_CHARACTERS], "reason": found})
            told(f"answer {attempt + 1} cannot be used")
            last = UnusableAnswer(error.expected, found, error.remedy)
    raise last
