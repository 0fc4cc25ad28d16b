"""One request and its answer over HTTP, never longer than asked, never larger than asked, and stopped when asked."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from core.descriptions.writing.writer import Stopped

LARGEST_ANSWER_BYTES = 1_000_000
CONNECT_S = 10.0
LOOK_EVERY_S = 0.05


class TookTooLong(Exception):
    """The answer was not whole when its time was over, however steadily it came."""


class TooLarge(Exception):
    """The answer has more bytes than any answer needs."""


class OtherEncoding(Exception):
    """The answer is compressed although nobody asked for that: its size cannot be told before it is unpacked."""


@dataclass(frozen=True)
class Answer:
    """status, headers and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    client: httpx.Client,
    url: httpx.URL,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    stopped: Callable[[], bool],
    largest: int = LARGEST_ANSWER_BYTES,
) -> Answer:
    """Send a body and read the answer, in at most timeout_s in all. Redirects are answers like any other.

    Raises TookTooLong, TooLarge, OtherEncoding, Stopped, httpx.TransportError.
    """
    with Watch(timeout_s, stopped) as watch:
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        try:
            with client.stream(
                "POST", url, content=body, headers=dict(headers), timeout=timeout, extensions={"trace": watch.notice}
            ) as answer:
                if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
                    raise OtherEncoding
                content = bytearray()
                for chunk in answer.iter_raw():
                    content += chunk
                    if len(content) > largest:
                        raise TooLarge
                    watch.check()
                return Answer(answer.status_code, dict(answer.headers), bytes(content))
        except (httpx.TransportError, OSError, ValueError) as error:
            watch.check()  # what the cut connection says of itself is not the reason
            if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
                raise TookTooLong from None
            raise


@dataclass
class Watch:
    """Cuts the connection of a request when its time is over or somebody stops it, whatever it waits for then."""

    timeout_s: float
    stopped: Callable[[], bool]
    _sockets: list[socket.socket] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _reason: type[Exception] | None = None

    def __enter__(self) -> Watch:
        self._ends_at = time.monotonic() + self.timeout_s
        self._thread = threading.Thread(target=self._watch, name="request-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def notice(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of the connection; see the "trace" extension of httpx."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                self._sockets.append(found)
                if self._reason:
                    self._cut()

    def check(self) -> None:
        """Raises Stopped or TookTooLong where the request is to end."""
        self._look()
        if self._reason:
            raise self._reason

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self._look()
            if self._reason:
                self._cut()
                return

    def _look(self) -> None:
        if self._reason is None:
            if self.stopped():
                self._reason = Stopped
            elif time.monotonic() > self._ends_at:
                self._reason = TookTooLong

    def _cut(self) -> None:
        for each in self._sockets:
            # of the plain class: that of an encrypted one would wait for its lock
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
