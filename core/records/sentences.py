"""Sentences of a description set as they stand now, with the decisions of readers that count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from core.descriptions.review import Event, Judgement, Standing, judge
from core.errors import NotFound
from core.records.description_tables import (
    DescriptionActionRow,
    DescriptionReviewRow,
    DescriptionRevisionRow,
    DescriptionRow,
    DescriptionSetRow,
)
from core.records.tables import ImageClassRow, ImageSetRow
from core.records.types import iso

MOST_NAMED = 500
"""Sentences that a query names by their ids; of more the whole set is read."""
REOPEN, SETTLE = "reopen", "settle"


@dataclass(frozen=True)
class Sentence:
    """A sentence as it stands. position: its rank in the set. revision: its newest; text_revision: the one that gave
    it its wording. standing: the decisions about this wording that count, by reader. changed_by: who changed it last.
    """

    id: str
    position: int
    class_name: str
    text: str
    state: str
    reason: str | None
    withdrawn: bool
    revision: int
    text_revision: int
    author_kind: str
    author: str
    origin: dict[str, Any] | None
    planted: bool
    created_at: str | None
    changed_at: str | None
    changed_by: str
    standing: dict[str, Standing] = field(default_factory=dict)

    @property
    def judgement(self) -> Judgement:
        """What readers make of it."""
        return Judgement(self.state, self.reason, self.standing)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, which does not tell a planted sentence from another."""
        return {
            "id": self.id,
            "position": self.position,
            "class": self.class_name,
            "text": self.text,
            "state": self.state,
            "reason": self.reason,
            "withdrawn": self.withdrawn,
            "author_kind": self.author_kind,
            "author": self.author,
            "origin": self.origin,
            "revision": self.revision,
            "created_at": self.created_at,
            "changed_at": self.changed_at,
            "changed_by": self.changed_by,
            "reviews": [
                {"reader": s.reader, "decision": s.decision, "reason": s.reason, "at": s.at}
                for s in sorted(self.standing.values(), key=lambda each: each.order)
            ],
        }


def hold_set(session: Session, set_id: str) -> DescriptionSetRow:
    """The row of a description set, held until the transaction ends: who changes its sentences comes one by one.

    Raises NotFound.
    """
    row = session.scalar(select(DescriptionSetRow).where(DescriptionSetRow.id == set_id).with_for_update())
    return _there(row, set_id)


def find_set(session: Session, set_id: str) -> DescriptionSetRow:
    """The row of a description set. Raises NotFound."""
    return _there(session.get(DescriptionSetRow, set_id), set_id)


def classes_of(session: Session, set_id: str) -> list[str]:
    """Classes of the images a description set is for, in their order; none where these are gone. Raises NotFound."""
    table = ImageClassRow
    query = select(table.name).where(table.image_set_id == find_set(session, set_id).image_set_id)
    return list(session.scalars(query.order_by(table.label)))


def pictures_of(session: Session, set_id: str) -> str | None:
    """What the pictures of these classes are, by the image set's modality or else its name; None where it is gone.

    Raises NotFound.
    """
    row = session.get(ImageSetRow, find_set(session, set_id).image_set_id or "")
    return None if row is None else row.modality or row.name


def load_sentences(
    session: Session, set_id: str, ids: Collection[str] | None = None, withdrawn: bool | None = False
) -> list[Sentence]:
    """Sentences in their order; all, or those with these ids. withdrawn: only such, None takes them with the others.

    Raises NotFound if one of the ids is none of this set (withdrawn ones count only as `withdrawn` says).
    """
    which = _which(set_id, ids, withdrawn)
    texts = _text_revisions(session, which)
    judged = judgements(session, set_id, ids)
    ranks = _ranks(session, set_id)
    last = (DescriptionRevisionRow.description_id == DescriptionRow.id) & (
        DescriptionRevisionRow.number == DescriptionRow.revision
    )
    query = select(DescriptionRow, DescriptionActionRow.actor, DescriptionActionRow.created_at)
    query = query.outerjoin(DescriptionRevisionRow, last).outerjoin(
        DescriptionActionRow, DescriptionActionRow.id == DescriptionRevisionRow.action_id
    )
    found = [
        _masked(
            _sentence(row, texts.get(row.id, 1), actor, moment, ranks[row.id], judged.get(row.id, Judgement())), row
        )
        for row, actor, moment in session.execute(query.where(*which).execution_options(populate_existing=True))
        if ids is None or row.id in ids
    ]
    if ids is not None and (missing := set(ids) - {each.id for each in found}):
        raise NotFound(
            "Sentences of this description set",
            f"'{min(missing)}' is none{f', nor are {len(missing) - 1} more' if len(missing) > 1 else ''}",
            "Load the list again.",
        )
    return sorted(found, key=lambda each: each.position)


def judgements(session: Session, set_id: str, ids: Collection[str] | None = None) -> dict[str, Judgement]:
    """{sentence: what readers make of its wording of now}, without sentences nobody read. What is undone counts not."""
    undone = undone_actions(session, set_id)
    events = [*_reviews(session, set_id, ids), *_without_review(session, set_id, ids)]
    found: dict[str, list[Event]] = {}
    for id_, action, event in sorted(events, key=lambda each: each[1]):
        if action not in undone:
            found.setdefault(id_, []).append(event)
    return {id_: judge(each) for id_, each in found.items()}


def undone_actions(session: Session, set_id: str) -> dict[str, str]:
    """{action: the action that undid it} of those that are taken back now; what was done again is not among them."""
    action = DescriptionActionRow
    query = select(action.undoes_id, action.id).where(
        action.description_set_id == set_id, action.undoes_id.is_not(None)
    )
    taken_back = {undone: by for undone, by in session.execute(query.order_by(action.id.desc())) if undone}
    found: dict[str, str] = {}
    for undone, by in taken_back.items():  # the newest first, so that what undid it is known already
        if by not in found:
            found[undone] = by
    return found


def _there(row: DescriptionSetRow | None, set_id: str) -> DescriptionSetRow:
    if row is None:
        raise NotFound("A description set with this id", f"'{set_id}' is none", "List the description sets.")
    return row


def _which(set_id: str, ids: Collection[str] | None, withdrawn: bool | None = None) -> list[ColumnElement[bool]]:
    row = DescriptionRow
    conditions = [row.description_set_id == set_id]
    if ids is not None and len(ids) <= MOST_NAMED:
        conditions.append(row.id.in_(ids))
    if withdrawn is not None:
        conditions.append(row.withdrawn.is_(withdrawn))
    return conditions


def _text_revisions(session: Session, which: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    """{sentence: number of the revision that gave it its wording}, of those whose wording ever was another."""
    revision, row = DescriptionRevisionRow, DescriptionRow
    other = or_(revision.text != row.text, revision.class_name != row.class_name)
    query = select(row.id, func.max(revision.number)).join(revision, revision.description_id == row.id)
    return {id_: number + 1 for id_, number in session.execute(query.where(*which, other).group_by(row.id))}


def _reviews(session: Session, set_id: str, ids: Collection[str] | None) -> list[tuple[str, str, Event]]:
    """(sentence, action, decision) about the wording of now."""
    review, row, read = DescriptionReviewRow, DescriptionRow, aliased(DescriptionRevisionRow)
    columns = (review.description_id, review.reader, review.action_id, review.decision, review.reason)
    query = select(*columns, review.created_at, review.seconds).join(row, row.id == review.description_id)
    query = query.join(read, and_(read.description_id == row.id, read.number == review.text_revision))
    same = (read.text == row.text, read.class_name == row.class_name)
    return [
        (id_, action, Event(reader, Standing(reader, decision, reason, iso(at), seconds, action)))
        for id_, reader, action, decision, reason, at, seconds in session.execute(
            query.where(*_which(set_id, ids), *same)
        )
    ]


def _without_review(session: Session, set_id: str, ids: Collection[str] | None) -> list[tuple[str, str, Event]]:
    """(sentence, action, event) where somebody took a decision about the wording of now back, or settled it."""
    action, revision, row = DescriptionActionRow, DescriptionRevisionRow, DescriptionRow
    query = select(revision.description_id, action.id, action.actor, action.kind, revision.state, revision.reason)
    query = query.join(action, action.id == revision.action_id).join(row, row.id == revision.description_id)
    same = (revision.text == row.text, revision.class_name == row.class_name)
    query = query.where(*_which(set_id, ids), *same, action.kind.in_((REOPEN, SETTLE)))
    return [
        (id_, number, Event(actor, settled=state, reason=reason) if kind == SETTLE else Event(actor))
        for id_, number, actor, kind, state, reason in session.execute(query)
    ]


def _ranks(session: Session, set_id: str) -> dict[str, int]:
    """{sentence: rank}. A planted one stands where it was dealt to, not at the end, where all would know it."""
    row = DescriptionRow
    query = select(row.id, row.position).where(row.description_set_id == set_id, row.planted.is_(False))
    places = {id_: (float(position), "") for id_, position in session.execute(query)}
    planted = select(row.id, row.position, row.origin).where(row.description_set_id == set_id, row.planted)
    for id_, position, origin in session.execute(planted):
        places[id_] = (float(origin["after"] if origin and "after" in origin else position) + 0.5, id_)
    return {id_: rank for rank, id_ in enumerate(sorted(places, key=lambda each: places[each]))}


def _sentence(
    row: DescriptionRow, text_revision: int, actor: str | None, moment: Any, rank: int, judgement: Judgement
) -> Sentence:
    return Sentence(
        id=row.id,
        position=rank,
        class_name=row.class_name,
        text=row.text,
        state=row.state,
        reason=row.reason,
        withdrawn=row.withdrawn,
        revision=row.revision,
        text_revision=text_revision,
        author_kind=row.author_kind,
        author=row.author,
        origin=row.origin,
        planted=row.planted,
        created_at=iso(row.created_at),
        changed_at=iso(moment or row.created_at),
        changed_by=actor or row.author,
        standing=judgement.standing,
    )


def _masked(sentence: Sentence, row: DescriptionRow) -> Sentence:
    """A planted sentence told as the one it was dealt from: nothing a reader gets says which it is."""
    if not row.planted:
        return sentence
    origin = sentence.origin or {}
    shown = replace(sentence, origin=origin.get("shown"))
    if sentence.revision > 1:
        return shown
    return replace(
        shown, changed_at=origin.get("changed_at", shown.changed_at), changed_by=origin.get("changed_by", shown.author)
    )
