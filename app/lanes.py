"""How many requests of each kind may be in hand at once, so that one kind never takes the threads of another.

Requests that wait for a locked database each hold a thread. Without bounds forty of them silence the pages, the
pictures and the health check as well. Each kind has a lane: some are let in, some wait outside without a thread and for
a bounded time, the rest are told at once to come again (503 with Retry-After).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.common import PREFIX
from app.http_errors import known_error_response
from app.services.line import Busy

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MODEL_PATHS = frozenset({f"{PREFIX}/explanations", f"{PREFIX}/classifications"})
UPLOAD_PATHS = frozenset(f"{PREFIX}/image-sets{rest}" for rest in ("", "/columns", "/demo"))
# More than all lanes can hold at once, so that files of the pages always find one.
THREADS = 160


class Lane:
    """at_once requests in hand, `waiting` more outside, none of these longer than wait_s. Any event loop may ask it."""

    def __init__(self, doing: str, *, at_once: int, waiting: int = 0, wait_s: float = 15) -> None:
        self.doing, self.at_once, self.waiting, self.wait_s = doing, at_once, waiting, wait_s
        self._lock = threading.Lock()
        self._inside = 0
        self._outside: deque[Future[None]] = deque()

    async def enter(self) -> None:
        """Take a place, to be given back by `leave`. Raises Busy if none becomes free in time."""
        with self._lock:
            if self._inside < self.at_once:
                self._inside += 1
                return
            if len(self._outside) >= self.waiting:
                raise Busy(self.doing, self.at_once + self.waiting)
            mine: Future[None] = Future()
            self._outside.append(mine)
        await self._wait(mine)

    async def _wait(self, mine: Future[None]) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(mine)), self.wait_s)
        except TimeoutError:
            if self._step_back(mine):
                raise Busy(self.doing, self.at_once) from None
        except asyncio.CancelledError:
            if not self._step_back(mine):
                self.leave()
            raise

    def _step_back(self, mine: Future[None]) -> bool:
        """Give up waiting; False if the place was given meanwhile."""
        with self._lock:
            if mine in self._outside:
                self._outside.remove(mine)
                return True
            return False

    def leave(self) -> None:
        """Give the place to whoever waits longest, or back."""
        with self._lock:
            following = self._outside.popleft() if self._outside else None
            if following is None:
                self._inside -= 1
        if following is not None:
            following.set_result(None)


class Lanes:
    """ASGI layer that lets each request into the lane of its kind."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.readiness = Lane("asking whether the site is ready", at_once=2, waiting=16)
        self.reading = Lane("reading records", at_once=12, waiting=200)
        self.writing = Lane("changing records", at_once=12, waiting=100)
        self.pictures = Lane("showing pictures", at_once=24, waiting=256)
        # These wait in lines of their own, without a thread; see `app.services.line`.
        self.models = Lane("classifying and explaining", at_once=64)
        self.uploads = Lane("uploading", at_once=12)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on once there is a place, or answer 503."""
        lane = self.lane_of(scope)
        if lane is None:
            await self.app(scope, receive, send)
            return
        try:
            await lane.enter()
        except Busy as error:
            await known_error_response(error)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            lane.leave()

    def lane_of(self, scope: Scope) -> Lane | None:
        """The lane of a request; None for the health check, the pages and their files, which ask no database."""
        if scope["type"] != "http":
            return None
        path, is_safe = scope["path"], scope["method"] in SAFE_METHODS
        if path == "/readyz":
            return self.readiness
        if not path.startswith("/api/"):
            return None
        if not is_safe:
            return self.models if path in MODEL_PATHS else self.uploads if path in UPLOAD_PATHS else self.writing
        return self.pictures if path.startswith((f"{PREFIX}/images/", f"{PREFIX}/explanations/")) else self.reading

    @property
    def all(self) -> list[Lane]:
        """Every lane."""
        return [self.readiness, self.reading, self.writing, self.pictures, self.models, self.uploads]
