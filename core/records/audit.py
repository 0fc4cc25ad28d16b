"""The audit trail: who did what to which thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.records.tables import AuditEntryRow
from core.records.types import iso


def add_audit_entry(
    session: Session,
    actor: str,
    action: str,
    noun: str,
    noun_id: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note an action in the transaction that does it. detail: ids and numbers, never file names or contents."""
    session.add(AuditEntryRow(actor=actor, action=action, noun=noun, noun_id=noun_id, detail=dict(detail or {})))


def count_audit_entries(session: Session, noun: str, noun_ids: Sequence[str]) -> int:
    """How many entries are about these things of one kind."""
    query = select(func.count()).select_from(AuditEntryRow)
    return session.scalar(query.where(AuditEntryRow.noun == noun, AuditEntryRow.noun_id.in_(noun_ids))) or 0


def list_audit_entries(
    session: Session, noun: str | None = None, noun_id: str | None = None, limit: int = 100, offset: int = 0
) -> list[dict[str, Any]]:
    """Entries, the newest first; all, or those about one kind of thing or one thing."""
    query = select(AuditEntryRow).order_by(AuditEntryRow.at.desc(), AuditEntryRow.id.desc())
    query = query if noun is None else query.where(AuditEntryRow.noun == noun)
    query = query if noun_id is None else query.where(AuditEntryRow.noun_id == noun_id)
    return [
        {
            "at": iso(row.at),
            "actor": row.actor,
            "action": row.action,
            "noun": row.noun,
            "noun_id": row.noun_id,
            "detail": row.detail,
        }
        for row in session.scalars(query.limit(limit).offset(offset))
    ]
