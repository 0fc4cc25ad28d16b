"""Bounded lines for heavy work that somebody waits for: a few threads of their own, and a few places before them.

The threads that answer requests never compute. Who finds a line full is told at once, and when to come again; work
whose asker has gone away is dropped before it starts, or stops at its next step; what is asked for twice at the same
time is done once. A line belongs to no event loop, so that any of them may ask it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from core.errors import PromptoscopeError, Unavailable

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 2, 60


class Busy(Unavailable):
    """All that do this work are taken, and so is every place before them. Nothing was begun."""

    code = "busy"

    def __init__(self, doing: str, places: int, retry_after_s: int = SHORTEST_PAUSE_S) -> None:
        super().__init__(f"A free place for {doing}", f"all {places} are taken", f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class ClientGone(PromptoscopeError):
    """Who asked has closed the connection; nobody reads this answer."""

    code = "client_gone"
    status = 499

    def __init__(self) -> None:
        super().__init__("Somebody who waits for the answer", "the connection was closed")


class Abandoned(BaseException):
    """Nobody waits for this work any more. Not an Exception, so that no handler takes it for a damaged file."""


@dataclass
class _Work:
    """One piece of work and how many wait for it."""

    key: Hashable | None
    askers: int = 1
    is_abandoned: threading.Event = field(default_factory=threading.Event)
    future: Future[Any] = field(default_factory=Future)


_here = threading.local()


def go_on() -> None:
    """To be called between the steps of heavy work: raises Abandoned if nobody waits for its end any more.

    Outside a line it does nothing.
    """
    work: _Work | None = getattr(_here, "work", None)
    if work is not None and work.is_abandoned.is_set():
        raise Abandoned


class Line:
    """at_once: threads that work. waiting: places before them. doing: what is done, for the sentence of a full line.

    usual_s: how long one work takes, as guessed before the first is done.
    """

    def __init__(self, doing: str, *, at_once: int, waiting: int, usual_s: float = 1.0) -> None:
        self.doing, self.at_once, self.places = doing, at_once, at_once + waiting
        self._lock = threading.RLock()
        self._pool: ThreadPoolExecutor | None = None
        self._inside: list[_Work] = []
        self._usual_s = usual_s

    async def do(self, receive: Receive, work: Callable[..., Any], *args: Any, key: Hashable | None = None) -> Any:
        """What `work(*args)` returns or raises, once its turn has come.

        receive: of a request whose body was read; it tells when the asker goes away. key: equal for requests that one
        computation answers. Raises Busy for a full line, and ClientGone.
        """
        mine = self._join(key, work, args)
        try:
            await _until_done(mine.future, receive)
        finally:
            self._leave(mine)
        if mine.future.cancelled() or not mine.future.done():
            raise ClientGone
        try:
            return mine.future.result()
        except Abandoned:
            raise ClientGone from None

    @property
    def inside(self) -> int:
        """How many works wait or are being done."""
        with self._lock:
            return len(self._inside)

    def close(self) -> None:
        """Drop what waits, and stop what is being done at its next step. The line can be used again afterwards."""
        with self._lock:
            pool, self._pool, works = self._pool, None, list(self._inside)
        for work in works:
            work.is_abandoned.set()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _join(self, key: Hashable | None, function: Callable[..., Any], args: tuple[Any, ...]) -> _Work:
        with self._lock:
            same = next((work for work in self._inside if key is not None and work.key == key and work.askers), None)
            if same is not None:
                same.askers += 1
                return same
            if len(self._inside) >= self.places:
                raise Busy(self.doing, self.places, self._pause_s())
            self._pool = self._pool or ThreadPoolExecutor(self.at_once, thread_name_prefix="line")
            mine = _Work(key)
            self._inside.append(mine)
            mine.future = self._pool.submit(copy_context().run, self._run, mine, function, args)
            mine.future.add_done_callback(lambda _: self._forget(mine))
            return mine

    def _leave(self, work: _Work) -> None:
        with self._lock:
            work.askers -= 1
            if work.askers:
                return
        work.is_abandoned.set()
        work.future.cancel()

    def _forget(self, work: _Work) -> None:
        with self._lock:
            if work in self._inside:
                self._inside.remove(work)

    def _run(self, work: _Work, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        _here.work, started = work, time.monotonic()
        try:
            go_on()
            return function(*args)
        finally:
            _here.work = None
            self._usual_s += 0.3 * (time.monotonic() - started - self._usual_s)

    def _pause_s(self) -> int:
        """Until about half of those inside are done."""
        wanted = self._usual_s * len(self._inside) / self.at_once / 2
        return int(min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, wanted)))


async def _until_done(future: Future[Any], receive: Receive) -> None:
    """Wait for the future's end or for the asker's going away, whichever comes first."""
    loop, rang = asyncio.get_running_loop(), asyncio.Event()

    def ring(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            loop.call_soon_threadsafe(rang.set)

    future.add_done_callback(ring)
    done, gone = asyncio.ensure_future(rang.wait()), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Lines:
    """The lines of one site, each for work that would otherwise get into another one's way."""

    def __init__(self) -> None:
        # Models share one device, and a second computation would only slow the first down.
        self.models = Line("classifying and explaining", at_once=1, waiting=16, usual_s=4)
        self.pictures = Line("drawing small pictures", at_once=2, waiting=64)
        self.uploads = Line("reading uploads", at_once=2, waiting=12)
        self.comparisons = Line("comparing runs", at_once=1, waiting=32)
        # Answered in a fraction of a second once images are ready, so it must not wait behind pictures to classify.
        self.sentences = Line("trying sentences on images", at_once=1, waiting=32)

    @property
    def all(self) -> tuple[Line, ...]:
        """Every line."""
        return self.models, self.pictures, self.uploads, self.comparisons, self.sentences

    def close(self) -> None:
        """Stop everything."""
        for line in self.all:
            line.close()
