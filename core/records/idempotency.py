"""Answers given to requests with a key, so that a request sent twice is done once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.records.tables import IdempotencyKeyRow
from core.records.types import now

KEPT = timedelta(days=2)
# A request that has no answer after this long died with its server; its key is free again.
UNANSWERED = timedelta(minutes=15)


@dataclass(frozen=True)
class StoredAnswer:
    """HTTP status and JSON body that were given."""

    status: int
    response: dict[str, Any]


def begin_request(session: Session, method: str, path: str, key: str, request_sha256: str) -> StoredAnswer | None:
    """Take the key for a request (None: go on and do it), or get the answer it had before.

    request_sha256: of the request's body, so that a key is not used for two requests. Raises Conflict if it is, or
    if the first request is still at work.
    """
    _forget_old(session)
    try:
        with session.begin_nested():
            session.add(IdempotencyKeyRow(method=method, path=path, key=key, request_sha256=request_sha256))
        return None
    except IntegrityError:
        row = session.scalars(select(IdempotencyKeyRow).where(*_same(method, path, key))).one()
    if row.request_sha256 != request_sha256:
        raise Conflict(
            "An Idempotency-Key belongs to one request",
            "this one came before with another body",
            "Use a fresh key for a new request.",
        )
    if row.status is None:
        raise Conflict(
            "A request is answered before it is repeated",
            "the first one with this Idempotency-Key is still at work",
            "Wait a moment and send it again.",
        )
    return StoredAnswer(row.status, row.response or {})


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
    session.execute(delete(row).where(row.status.is_(None), row.created_at < now() - UNANSWERED))
