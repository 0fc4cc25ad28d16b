"""Caps of a task: how many requests, tokens and how much money it may take, whatever goes wrong on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.descriptions.writing.writer import Spent, WriterAway
from core.errors import InvalidOption

BYTES_PER_TOKEN = 3
"""Fewer than usual, so that a length judged by bytes is rather too many tokens."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in whatever money the caps are in."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (self.tokens_in * tokens_in + self.tokens_out * tokens_out) / MILLION


@dataclass(frozen=True)
class Caps:
    """At most so much for one task. cost: None for no cap; it needs prices."""

    requests: int
    tokens: int
    cost: float | None = None
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        if self.cost is not None and not (self.prices.tokens_in or self.prices.tokens_out):
            raise InvalidOption(
                "A cap on cost needs prices",
                "found none",
                "Set PROMPTOSCOPE_LLM_PRICE_IN and PROMPTOSCOPE_LLM_PRICE_OUT, per million tokens.",
            )


class Reached(WriterAway):
    """A cap of the task leaves no room for another request."""

    code = "cap_reached"

    def __init__(self, expected: str, found: str) -> None:
        remedy = "Raise the cap in the settings, then try again: what is written stays."
        super().__init__(expected, found, remedy, stop=True)


class Budget:
    """What is left under the caps, shared by requests that run at once.

    Each request sets aside the most it can take before it is sent, so that no number of requests at once exceeds a cap.
    """

    def __init__(self, caps: Caps, spent: Spent | None = None) -> None:
        self.caps, self._spent, self._aside, self._lock = caps, spent or Spent(), Spent(), threading.Lock()

    @property
    def spent(self) -> Spent:
        """What has been taken so far."""
        with self._lock:
            return self._spent

    @contextmanager
    def room(self, tokens_in: int, tokens_out: int, own: Spent) -> Iterator[Taken]:
        """Set aside what a request can take at most, then count what it took, in `own` too. Raises Reached.

        What the request took counts as the whole of it unless `Taken` is told otherwise: who breaks off an answer pays
        for it nevertheless.
        """
        most = self._priced(tokens_in, tokens_out)
        taken = Taken(tokens_in, tokens_out)
        with self._lock:
            self._check(self._spent + self._aside + most)
            self._aside += most
        try:
            yield taken
        finally:
            actual = self._priced(taken.tokens_in, taken.tokens_out)
            with self._lock:
                self._aside += Spent(-most.requests, -most.tokens_in, -most.tokens_out, -most.cost)
                self._spent += actual
            own.requests += actual.requests
            own.tokens_in += actual.tokens_in
            own.tokens_out += actual.tokens_out
            own.cost += actual.cost

    def _priced(self, tokens_in: int, tokens_out: int) -> Spent:
        return Spent(1, tokens_in, tokens_out, self.caps.prices.of(tokens_in, tokens_out))

    def _check(self, then: Spent) -> None:
        caps = self.caps
        if then.requests > caps.requests:
            raise Reached(f"At most {caps.requests} requests for one task", "another one would be more")
        if then.tokens_in + then.tokens_out > caps.tokens:
            raise Reached(f"At most {caps.tokens} tokens for one task", "another request might take more")
        if caps.cost is not None and then.cost > caps.cost:
            raise Reached(f"A cost of at most {caps.cost:g} for one task", "another request might cost more")


@dataclass
class Taken:
    """What a request took, to be corrected once that is known."""

    tokens_in: int
    tokens_out: int


def judged_tokens(texts: Sequence[str]) -> int:
    """Tokens of texts, judged by their length."""
    return sum(len(text.encode("utf-8", "replace")) for text in texts) // BYTES_PER_TOKEN + 8 * len(texts)
