"""Answers given to requests with a key, so that a request sent twice is done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

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


@dataclass(frozen=True)
class StoredAnswer:
    """HTTP status and JSON body that were given."""

    status: int
    response: dict[str, Any]


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
        raise Conflict(
            "An Idempotency-Key belongs to one request",
            "this one came before with another body",
            "Use a fresh key for a new request.",
        )
    if row.status is None:
        raise _at_work()
    return StoredAnswer(row.status, row.response or {})


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
    """Free the key of a request that failed in a way that trying again may mend."""
    session.execute(delete(IdempotencyKeyRow).where(*_same(method, path, key)))


def _same(method: str, path: str, key: str) -> tuple[Any, ...]:
    row = IdempotencyKeyRow
    return row.method == method, row.path == path, row.key == key


def _forget_old(session: Session) -> None:
    row = IdempotencyKeyRow
    session.execute(delete(row).where(row.created_at < now() - KEPT))
    session.execute(delete(row).where(row.status.is_(None), row.owner.is_(None), row.created_at < now() - UNANSWERED))
