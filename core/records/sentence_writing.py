"""How an action on sentences is written: one action row, a revision for each sentence it touches, and its reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from core.descriptions.review import Judgement
from core.records.description_tables import (
    DescriptionActionRow,
    DescriptionReviewRow,
    DescriptionRevisionRow,
    DescriptionRow,
)
from core.records.ids import new_id
from core.records.sentences import Sentence, hold_set, judgements
from core.records.types import now


@dataclass(frozen=True)
class Review:
    """A decision to be kept: approve, reject or flag."""

    reader: str
    decision: str
    reason: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Change:
    """A sentence before an action, and what it is after it."""

    before: Sentence
    class_name: str
    text: str
    state: str
    reason: str | None
    withdrawn: bool
    review: Review | None = None

    @property
    def text_revision(self) -> int:
        """Number of the revision that gives the wording of after."""
        same = (self.text, self.class_name) == (self.before.text, self.before.class_name)
        return self.before.text_revision if same else self.before.revision + 1


@dataclass(frozen=True)
class NewSentence:
    """A sentence to be added. author_kind: person, model, pack, file or template.

    origin: how a model wrote it, which file or pack it is from. review: of whoever adds it, if already decided.
    """

    class_name: str
    text: str
    author_kind: str
    author: str
    origin: dict[str, Any] | None = None
    state: str = "draft"
    review: Review | None = None
    planted: bool = False
    id: str | None = None
    created_at: datetime | None = None


def add_sentences(
    session: Session, set_id: str, actor: str, sentences: Sequence[NewSentence], kind: str = "add", note: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Add sentences to a set as one action, which can be undone: (the action, their ids). Raises NotFound.

    Texts have to be fit and trimmed already, see `core.text.fit_text`.
    """
    hold_set(session, set_id)
    action = write_action(session, set_id, kind, actor, changed=len(sentences), note=note)
    return action, write_new(session, set_id, action["id"], sentences)


def write_action(
    session: Session,
    set_id: str,
    kind: str,
    actor: str,
    changes: Sequence[Change] = (),
    *,
    changed: int | None = None,
    note: str = "",
    undoes_id: str | None = None,
) -> dict[str, Any]:
    """Write an action and what it does to sentences that exist. The set is held already (see `hold_set`)."""
    row = DescriptionActionRow(
        id=new_id(),
        description_set_id=set_id,
        kind=kind,
        actor=actor,
        note=note,
        changed=len(changes) if changed is None else changed,
        undoes_id=undoes_id,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    if changes:
        write_changes(session, row.id, changes)
    return action_dict(row)


def action_dict(row: DescriptionActionRow, undone_by: str | None = None) -> dict[str, Any]:
    """JSON form of an action. undone_by: the action that took it back, if one did."""
    return {
        "id": row.id,
        "kind": row.kind,
        "actor": row.actor,
        "note": row.note,
        "changed": row.changed,
        "at": row.created_at.isoformat() if row.created_at else None,
        "undone_by": undone_by,
        "undoes_id": row.undoes_id,
    }


def judgements_about(session: Session, set_id: str, wordings: Mapping[str, tuple[str, str]]) -> dict[str, Judgement]:
    """Give sentences a wording (class, text) and get what readers make of that: {sentence: judgement}.

    For use before `write_changes`, which keeps the wording as a revision.
    """
    rows = [{"id": id_, "class_name": label, "text": text} for id_, (label, text) in wordings.items()]
    session.execute(update(DescriptionRow), rows)
    return judgements(session, set_id, set(wordings))


def write_new(session: Session, set_id: str, action_id: str, sentences: Sequence[NewSentence]) -> list[str]:
    """Insert sentences behind those that are there, each with its first revision: their ids."""
    if not sentences:
        return []
    table = DescriptionRow
    last = session.scalar(select(func.max(table.position)).where(table.description_set_id == set_id))
    start, moment = 0 if last is None else last + 1, now()
    ids = [each.id or new_id() for each in sentences]
    rows = [
        {
            "id": id_,
            "description_set_id": set_id,
            "position": start + place,
            "class_name": each.class_name,
            "text": each.text,
            "state": each.state,
            "reason": None,
            "withdrawn": False,
            "revision": 1,
            "author_kind": each.author_kind,
            "author": each.author,
            "origin": each.origin,
            "planted": each.planted,
            "created_at": each.created_at or moment,
        }
        for place, (id_, each) in enumerate(zip(ids, sentences, strict=True))
    ]
    session.execute(insert(table), rows)
    copied = ("class_name", "text", "state", "reason", "withdrawn")
    revisions = [
        {"description_id": row["id"], "number": 1, "action_id": action_id, **{name: row[name] for name in copied}}
        for row in rows
    ]
    session.execute(insert(DescriptionRevisionRow), revisions)
    reviews = [(id_, each.review, 1) for id_, each in zip(ids, sentences, strict=True) if each.review]
    _write_reviews(session, action_id, reviews)
    return ids


def write_changes(session: Session, action_id: str, changes: Sequence[Change]) -> None:
    """Write what an action does to sentences that exist: their rows, a revision each, and the reviews."""
    after = [
        {
            "class_name": each.class_name,
            "text": each.text,
            "state": each.state,
            "reason": each.reason,
            "withdrawn": each.withdrawn,
        }
        for each in changes
    ]
    rows = [
        {"id": each.before.id, "revision": each.before.revision + 1, **values}
        for each, values in zip(changes, after, strict=True)
    ]
    session.execute(update(DescriptionRow), rows)
    revisions = [
        {"description_id": row["id"], "number": row["revision"], "action_id": action_id, **values}
        for row, values in zip(rows, after, strict=True)
    ]
    session.execute(insert(DescriptionRevisionRow), revisions)
    _write_reviews(
        session, action_id, [(each.before.id, each.review, each.text_revision) for each in changes if each.review]
    )


def _write_reviews(session: Session, action_id: str, reviews: Sequence[tuple[str, Review, int]]) -> None:
    if not reviews:
        return
    moment = now()
    rows = [
        {
            "id": new_id(),
            "description_id": id_,
            "action_id": action_id,
            "reader": review.reader,
            "decision": review.decision,
            "reason": review.reason,
            "text_revision": number,
            "seconds": review.seconds,
            "created_at": moment,
        }
        for id_, review, number in reviews
    ]
    session.execute(insert(DescriptionReviewRow), rows)
