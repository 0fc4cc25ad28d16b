"""What was done to sentences: the actions of a set, and the revisions of one sentence."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.description_tables import DescriptionActionRow, DescriptionRevisionRow, DescriptionRow
from core.records.sentence_writing import action_dict
from core.records.sentences import find_set, undone_actions
from core.records.types import iso


def list_actions(session: Session, set_id: str, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
    """Actions on sentences of a set, newest first, each with what took it back, if it is. Raises NotFound."""
    find_set(session, set_id)
    undone, table = undone_actions(session, set_id), DescriptionActionRow
    query = select(table).where(table.description_set_id == set_id).order_by(table.id.desc())
    return [action_dict(row, undone.get(row.id)) for row in session.scalars(query.limit(limit).offset(offset))]


def count_actions(session: Session, set_id: str) -> int:
    """How many actions `list_actions` gives over all pages."""
    table = DescriptionActionRow
    return session.scalar(select(func.count(table.id)).where(table.description_set_id == set_id)) or 0


def revisions_of(session: Session, set_id: str, sentence_id: str) -> list[dict[str, Any]]:
    """A sentence as each action left it, oldest first: number, class, text, state, reason, withdrawn, actor, kind, at.

    Raises NotFound.
    """
    row = session.get(DescriptionRow, sentence_id)
    if row is None or row.description_set_id != set_id:
        raise NotFound("A sentence of this description set", f"'{sentence_id}' is none", "Load the list again.")
    revision, action = DescriptionRevisionRow, DescriptionActionRow
    query = select(revision, action.actor, action.kind, action.created_at).join(action, action.id == revision.action_id)
    query = query.where(revision.description_id == sentence_id).order_by(revision.number)
    found = [
        {
            "number": each.number,
            "class": each.class_name,
            "text": each.text,
            "state": each.state,
            "reason": each.reason,
            "withdrawn": each.withdrawn,
            "actor": actor,
            "kind": kind,
            "at": iso(at),
        }
        for each, actor, kind, at in session.execute(query)
    ]
    if row.planted:
        origin = row.origin or {}
        found[0] |= {
            "actor": origin.get("changed_by", row.author),
            "kind": origin.get("kind", "add"),
            "at": origin.get("changed_at", found[0]["at"]),
        }
    return found


def first_wordings(session: Session, set_id: str) -> dict[str, tuple[str, str]]:
    """{sentence: (class, text)} as each was written first."""
    revision, row = DescriptionRevisionRow, DescriptionRow
    query = select(revision.description_id, revision.class_name, revision.text).join(
        row, row.id == revision.description_id
    )
    rows = session.execute(query.where(row.description_set_id == set_id, revision.number == 1))
    return {id_: (label, text) for id_, label, text in rows}
