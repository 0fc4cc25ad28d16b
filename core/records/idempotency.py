"""Answers given to requests with a key, so that a request sent twice is done once.

What a request writes and what came of it are committed together with its key (`RequestAtWork.once`), the answer later.
A server that dies in between leaves a key that holds what was written: whoever repeats the request gets that instead of
another writing, and the answer is made from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.records.ids import new_id
from core.records.tables import IdempotencyKeyRow
from core.records.types import now

KEPT = timedelta(days=2)
# Requests of versions that did not write down who works on them: after so long their server is gone.
UNANSWERED = timedelta(minutes=15)
TRIES = 5
NOBODY = "nobody"
"""Owner of a request that wrote something and then failed."""
WRITTEN = "written"
T = TypeVar("T")


@dataclass(frozen=True)
class StoredAnswer:
    """HTTP status and JSON body that were given."""

    status: int
    response: dict[str, Any]


@dataclass
class RequestAtWork:
    """A request that took its key, as its writings see it. done: how many of them are committed."""

    method: str
    path: str
    key: str
    owner: str
    done: int = 0

    def once(self, session: Session, work: Callable[[Session], T]) -> T:
        """What `work` gives, or what it gave when this request wrote it before; kept in the same transaction.

        Lists stand for tuples then. Raises Conflict where another server took the request over, and where it is known
        only that it was written.
        """
        row = session.scalar(
            select(IdempotencyKeyRow).where(*_same(self.method, self.path, self.key)).with_for_update()
        )
        if row is None or row.owner != self.owner or row.status is not None:
            raise _at_work()
        written = _written(row)
        if self.done < len(written):
            return _recalled(written[self.done])
        made = work(session)
        row.response = {WRITTEN: [*written, _kept(made)]}
        return made


AT_WORK: ContextVar[RequestAtWork | None] = ContextVar("request_at_work", default=None)
"""The request that this thread works on, if it has a key."""


def begin_request(
    session: Session,
    method: str,
    path: str,
    key: str,
    request_sha256: str,
    *,
    owner: str,
    is_alive: Callable[[str], bool],
) -> StoredAnswer | None:
    """Take the key for a request (None: go on and do it), or get the answer it had before.

    request_sha256: of the request's body, so that a key is not used for two requests. owner: which server works on it.
    is_alive: whether an owner still works on its request; the key of one that does not is taken over. Raises Conflict
    if the key belongs to another request or the first one is still at work.
    """
    _forget_old(session)
    for _ in range(TRIES):
        if _take(session, method, path, key, request_sha256, owner):
            return None
        row = session.scalar(select(IdempotencyKeyRow).where(*_same(method, path, key)).with_for_update())
        if row is None:
            continue  # freed by somebody else in between
        if row.status is None and row.owner is not None and not is_alive(row.owner):
            if _written(row) and row.request_sha256 != request_sha256:
                raise _other_body()
            row.owner, row.request_sha256, row.created_at = owner, request_sha256, now()
            session.flush()
            return None
        return _known_answer(row, request_sha256)
    raise _at_work()


def _take(session: Session, method: str, path: str, key: str, request_sha256: str, owner: str) -> bool:
    fresh = IdempotencyKeyRow(
        id=new_id(), method=method, path=path, key=key, request_sha256=request_sha256, owner=owner
    )
    try:
        with session.begin_nested():
            session.add(fresh)
    except IntegrityError:
        return False
    return True


def _known_answer(row: IdempotencyKeyRow, request_sha256: str) -> StoredAnswer:
    if row.request_sha256 != request_sha256:
        raise _other_body()
    if row.status is None:
        raise _at_work()
    return StoredAnswer(row.status, row.response or {})


def _other_body() -> Conflict:
    return Conflict(
        "An Idempotency-Key belongs to one request",
        "this one came before with another body",
        "Use a fresh key for a new request.",
    )


def _at_work() -> Conflict:
    return Conflict(
        "A request is answered before it is repeated",
        "the first one with this Idempotency-Key is still at work",
        "Wait a moment and send it again.",
    )


def finish_request(session: Session, method: str, path: str, key: str, status: int, response: dict[str, Any]) -> None:
    """Keep the answer of a request that `begin_request` let through."""
    session.execute(update(IdempotencyKeyRow).where(*_same(method, path, key)).values(status=status, response=response))


def drop_request(session: Session, method: str, path: str, key: str) -> None:
    """Free the key of a request that failed in a way that trying again may mend; what it wrote is not written again."""
    row = session.scalar(select(IdempotencyKeyRow).where(*_same(method, path, key)).with_for_update())
    if row is not None and _written(row):
        row.owner = NOBODY
    elif row is not None:
        session.delete(row)


def _written(row: IdempotencyKeyRow) -> list[Any]:
    """What came of the writings of a request that has no answer yet, in their order."""
    return [] if row.status is not None else list((row.response or {}).get(WRITTEN, []))


def _kept(made: Any) -> dict[str, Any]:
    try:
        return {"made": json.loads(json.dumps(made))}
    except (TypeError, ValueError):
        return {}


def _recalled(kept: dict[str, Any]) -> Any:
    if "made" not in kept:
        raise Conflict(
            "A request is answered once",
            "this one was done, and its answer was lost",
            "Look at what is there now before you send it with another key.",
        )
    return kept["made"]


def _same(method: str, path: str, key: str) -> tuple[Any, ...]:
    row = IdempotencyKeyRow
    return row.method == method, row.path == path, row.key == key


def _forget_old(session: Session) -> None:
    row = IdempotencyKeyRow
    session.execute(delete(row).where(row.created_at < now() - KEPT))
    session.execute(delete(row).where(row.status.is_(None), row.owner.is_(None), row.created_at < now() - UNANSWERED))
