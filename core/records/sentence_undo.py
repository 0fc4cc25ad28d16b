"""Taking actions on sentences back, and doing them again: an undo is an action itself, so nothing is ever erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from core.descriptions.review import Judgement
from core.errors import Conflict, NotFound
from core.records.description_tables import DescriptionActionRow, DescriptionRevisionRow
from core.records.sentence_actions import READING, StaleSentences
from core.records.sentence_writing import Change, action_dict, judgements_about, write_action, write_changes
from core.records.sentences import Sentence, hold_set, load_sentences, undone_actions

UNDO, REDO = "undo", "redo"


@dataclass(frozen=True)
class _Chain:
    """Actions of a set that undo others, and what they undo in the end."""

    undoes: Mapping[str, str]
    undone: Mapping[str, str]

    def root(self, action: str) -> str:
        while action in self.undoes:
            action = self.undoes[action]
        return action

    def tail(self, action: str) -> str:
        """The last in the row of undo and redo that begins with an action: the one that an undo has to take back."""
        by = {undone: undoing for undoing, undone in self.undoes.items()}
        while action in by:
            action = by[action]
        return action


def undo(session: Session, set_id: str, actor: str, action_id: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """Take an action back, the actor's newest unless said: (the action that did it, ids of the sentences it touched).

    The id of an undo does again what it undid; the note of either is the kind of that action. Raises NotFound, Conflict
    where it is taken back already or nothing is there to take back, StaleSentences where a later action changed one of
    its sentences; then nothing is changed.
    """
    hold_set(session, set_id)
    chain = _chain(session, set_id)
    target = _find(session, set_id, actor, action_id, chain)
    tail = session.get_one(DescriptionActionRow, chain.tail(target.id))
    touched = _touched(session, tail.id)
    before = {each.id: each for each in load_sentences(session, set_id, set(touched), withdrawn=None)}
    _check_free(session, tail, touched, before, chain)
    kind = REDO if tail.kind == UNDO else UNDO
    root = session.get_one(DescriptionActionRow, chain.root(tail.id))
    action = write_action(session, set_id, kind, actor, changed=len(touched), note=root.kind, undoes_id=tail.id)
    write_changes(session, action["id"], _restored(session, set_id, tail.id, before))
    return action, list(touched)


def undoable(session: Session, set_id: str, actor: str) -> dict[str, Any] | None:
    """The action that `undo` of this person would take back, None where there is none."""
    row = _newest(session, set_id, actor, _chain(session, set_id))
    return None if row is None else action_dict(row)


def redoable(session: Session, set_id: str, actor: str) -> dict[str, Any] | None:
    """The person's undo that can be taken back (a redo): the newest since they last did something else, else None."""
    chain, table = _chain(session, set_id), DescriptionActionRow
    query = select(table).where(table.description_set_id == set_id, table.actor == actor, table.changed > 0)
    for row in session.scalars(query.order_by(table.id.desc())):
        if row.undoes_id is None and row.id not in chain.undone:
            return None
        if row.kind == UNDO and row.id not in chain.undone:
            return action_dict(row)
    return None


def _chain(session: Session, set_id: str) -> _Chain:
    table = DescriptionActionRow
    query = select(table.id, table.undoes_id).where(table.description_set_id == set_id, table.undoes_id.is_not(None))
    undoes = {undoing: undone for undoing, undone in session.execute(query) if undone}
    return _Chain(undoes, undone_actions(session, set_id))


def _find(session: Session, set_id: str, actor: str, action_id: str | None, chain: _Chain) -> DescriptionActionRow:
    if action_id is None:
        newest = _newest(session, set_id, actor, chain)
        if newest is None:
            raise Conflict(
                "An action to take back", f"'{actor}' did nothing here that stands", "There is nothing to undo."
            )
        return newest
    row = session.get(DescriptionActionRow, action_id)
    if row is None or row.description_set_id != set_id:
        raise NotFound("An action of this description set", f"'{action_id}' is none", "List its actions.")
    if action_id in chain.undone:
        raise Conflict(
            "An action is taken back once", "this one was taken back already", "Take back the undo to do it again."
        )
    return row


def _newest(session: Session, set_id: str, actor: str, chain: _Chain) -> DescriptionActionRow | None:
    table = DescriptionActionRow
    query = select(table).where(
        table.description_set_id == set_id, table.actor == actor, table.undoes_id.is_(None), table.changed > 0
    )
    for row in session.scalars(query.order_by(table.id.desc()).execution_options(yield_per=50)):
        if row.id not in chain.undone:
            return row
    return None


def _touched(session: Session, action_id: str) -> dict[str, int]:
    """{sentence: number of the revision that the action gave it}."""
    revision = DescriptionRevisionRow
    query = select(revision.description_id, revision.number).where(revision.action_id == action_id)
    return dict(session.execute(query).all())


def _check_free(
    session: Session,
    tail: DescriptionActionRow,
    touched: Mapping[str, int],
    before: Mapping[str, Sentence],
    chain: _Chain,
) -> None:
    """Refuse where what came later would be lost. Decisions of other readers are not: they count on their own."""
    mine, every, action = aliased(DescriptionRevisionRow), aliased(DescriptionRevisionRow), DescriptionActionRow
    query = select(every.description_id, every.number, action.id, action.kind, action.actor)
    query = query.join(mine, mine.description_id == every.description_id).join(action, action.id == every.action_id)
    rows = session.execute(query.where(mine.action_id == tail.id)).all()
    kinds = {id_: (kind, actor) for _, _, id_, kind, actor in rows}
    first = {(sentence, id_): number for sentence, number, id_, _, _ in rows}
    reader = kinds[chain.root(tail.id)][1] if rows else tail.actor
    blocked = set()
    for sentence, number, id_, _, _ in rows:
        root = chain.root(id_)
        if number <= touched[sentence] or root == chain.root(tail.id):
            continue
        kind, actor = kinds[root]
        stands = id_ == root and id_ not in chain.undone
        beneath = id_ != root and first[sentence, root] < touched[sentence]
        if (stands or beneath) and (kind not in READING or actor == reader):
            blocked.add(sentence)
    if blocked:
        raise StaleSentences(
            "An action is taken back while nothing came after it",
            "Take back what came later first, or edit these sentences.",
            [each for each in before.values() if each.id in blocked],
        )


def _restored(session: Session, set_id: str, action_id: str, before: Mapping[str, Sentence]) -> list[Change]:
    """What the sentences were before an action; their state is what the decisions that count by now make of that."""
    earlier = _revisions_before(session, action_id)
    wordings = {
        id_: (earlier[id_].class_name, earlier[id_].text) if id_ in earlier else (each.class_name, each.text)
        for id_, each in before.items()
    }
    judged = judgements_about(session, set_id, wordings)
    changes = []
    for id_, each in before.items():
        judgement, (class_name, text) = judged.get(id_, Judgement()), wordings[id_]
        # What an action added was not there before it.
        withdrawn = earlier[id_].withdrawn if id_ in earlier else True
        changes.append(Change(each, class_name, text, judgement.state, judgement.reason, withdrawn))
    return changes


def _revisions_before(session: Session, action_id: str) -> dict[str, DescriptionRevisionRow]:
    """{sentence: its revision before the one that an action gave it}."""
    mine, earlier = aliased(DescriptionRevisionRow), aliased(DescriptionRevisionRow)
    one_before = and_(earlier.description_id == mine.description_id, earlier.number == mine.number - 1)
    query = select(earlier).join(mine, one_before).where(mine.action_id == action_id)
    return {row.description_id: row for row in session.scalars(query)}
