"""Bodies of bounded size, and requests with an Idempotency-Key done once however often they are sent."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.common import PREFIX
from app.api.upload import MEGABYTE, TooLarge
from app.api.values import announced_bytes
from app.http_errors import known_error_response
from app.services.context import Context
from core.errors import InvalidInput, PromptoscopeError, Unavailable
from core.records import idempotency
from core.scratch import is_held

log = logging.getLogger(__name__)

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
LARGEST_BODY_BYTES = 8 * MEGABYTE
LONGEST_KEY = 200
FINISH_PAUSES_S = (0.1, 0.5, 2.0)
FORM_PATHS = frozenset(f"{PREFIX}/{place}" for place in ("classifications", "image-sets", "image-sets/columns"))
"""Routes that read their body themselves, to disk; elsewhere what calls itself a form is read and bounded as any."""
MULTIPART = hashlib.sha256(b"multipart").hexdigest()


@dataclass(frozen=True, eq=False)
class Asked:
    """A request that carries a key: what it does, where, and what identifies its body."""

    method: str
    path: str
    key: str
    body_sha256: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What a key belongs to."""
        return self.method, self.path, self.key


class OnceOnly:
    """ASGI layer before the API.

    JSON bodies are read whole, up to LARGEST_BODY_BYTES (uploads are read by their own route, to disk). A write with a
    key is done once: the same key, query and body get the first answer again; an error frees the key. Bodies of
    uploads are not compared, since every sending draws another boundary. Keys of a server that is gone, or that could
    not write an answer down, are taken over by the next request, which writes nothing that the first one wrote.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app, self.context = app, context
        self._at_work: dict[tuple[str, str, str], Asked] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, look up, pass on, keep."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        headers, body_sha256 = Headers(scope=scope), MULTIPART
        try:
            if scope["path"] not in FORM_PATHS or not headers.get("content-type", "").startswith("multipart/"):
                body = await whole_body(headers, receive)
                receive, body_sha256 = replayed(body, receive), hashlib.sha256(body + scope["query_string"]).hexdigest()
            key = checked_key(headers)
            if key is None:
                await self.app(scope, receive, send)
                return
            asked = Asked(scope["method"], scope["path"], key, body_sha256)
            known = await run_in_threadpool(self._begin, asked)
        except PromptoscopeError as error:
            await known_error_response(error)(scope, receive, send)
            return
        if known is not None:
            answer = JSONResponse(known.response, known.status, {REPLAYED_HEADER: "true"})
            await answer(scope, receive, send)
            return
        await self._do(asked, scope, receive, send)

    async def _do(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 500, b""

        async def watch(message: Message) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
            await send(message)

        token = idempotency.AT_WORK.set(
            idempotency.RequestAtWork(asked.method, asked.path, asked.key, self.context.server_folder().name)
        )
        try:
            await self.app(scope, receive, watch)
        finally:
            idempotency.AT_WORK.reset(token)
            answer = json.loads(body) if 200 <= status < 300 and body else None
            await run_in_threadpool(self._finish, asked, status, answer)

    def _begin(self, asked: Asked) -> idempotency.StoredAnswer | None:
        owner = self.context.server_folder()

        def is_alive(other: str) -> bool:
            if other == owner.name:
                return asked.place in self._at_work
            return is_held(owner.with_name(other))

        def begin(session: Session) -> idempotency.StoredAnswer | None:
            self._leave(asked)  # of a try that the database undid
            known = idempotency.begin_request(
                session, asked.method, asked.path, asked.key, asked.body_sha256, owner=owner.name, is_alive=is_alive
            )
            if known is None:
                # before others can see the key, who would take it from a request that is not at work
                self._at_work[asked.place] = asked
            return known

        try:
            return self.context.db.write(begin)
        except BaseException:
            self._leave(asked)
            raise

    def _leave(self, asked: Asked) -> None:
        if self._at_work.get(asked.place) is asked:
            del self._at_work[asked.place]

    def _finish(self, asked: Asked, status: int, answer: dict[str, Any] | None) -> None:
        try:
            for pause_s in FINISH_PAUSES_S:
                try:
                    return self._write_down(asked, status, answer)
                except Unavailable:
                    time.sleep(pause_s)
            self._write_down(asked, status, answer)
        except Unavailable as error:
            log.warning("the answer to a request with a key was not kept: %s", error.sentence)
        finally:
            self._leave(asked)

    def _write_down(self, asked: Asked, status: int, answer: dict[str, Any] | None) -> None:
        with self.context.db.writing() as session:
            if answer is None:
                idempotency.drop_request(session, asked.method, asked.path, asked.key)
            else:
                idempotency.finish_request(session, asked.method, asked.path, asked.key, status, answer)


async def whole_body(headers: Headers, receive: Receive) -> bytes:
    """The body in memory. Raises TooLarge beyond LARGEST_BODY_BYTES."""
    if (announced_bytes(headers) or 0) > LARGEST_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY_BYTES:
            raise _too_large()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A channel that gives a body that was read already, then whatever comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def checked_key(headers: Headers) -> str | None:
    """The key of a request, None without one. Raises InvalidInput for an empty, long or unprintable one."""
    key = headers.get(KEY_HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidInput(
            f"An {KEY_HEADER} of 1 to {LONGEST_KEY} printable characters", f"found {len(key)}", "Send a UUID."
        )
    return key


def _too_large() -> TooLarge:
    return TooLarge(f"A JSON body of at most {LARGEST_BODY_BYTES // MEGABYTE} MB", "found more", "Send less at once.")
