"""Tasks about a description set: asked for, done part by part, and gone on with after an interruption."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.ids import new_id
from core.records.tables import (
    DescriptionRow,
    DescriptionSetRow,
    DescriptionTaskPartRow,
    DescriptionTaskRow,
    ImageSetRow,
    JobRow,
)
from core.records.types import iso, now, unreadable_columns

WRITE, EVIDENCE = "write", "evidence"
PART_STATES = ("waiting", "done", "failed")


@dataclass(frozen=True)
class TaskPart:
    """A piece of a task that is to be done.

    request: what is asked, as it was shown. answer: what came back in vain before somebody had it tried again.
    """

    position: int
    label: str
    request: dict[str, Any]
    answer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Task:
    """What was asked for. image_set_id: None without one, or once it was deleted."""

    id: str
    kind: str
    description_set_id: str
    image_set_id: str | None
    request: dict[str, Any]


def add_task(
    session: Session,
    kind: str,
    set_id: str,
    request: Mapping[str, Any],
    parts: Sequence[tuple[str, Mapping[str, Any]]] = (),
    *,
    image_set_id: str | None = None,
) -> str:
    """A task with its parts (label, request), all waiting; returns its id. Raises NotFound for an unknown set."""
    if session.get(DescriptionSetRow, set_id) is None:
        raise NotFound("A description set with this id", f"'{set_id}' is none", "List the description sets.")
    row = DescriptionTaskRow(
        id=new_id(), kind=kind, description_set_id=set_id, image_set_id=image_set_id, request=dict(request)
    )
    session.add(row)
    session.flush()
    if parts:
        values = [
            {"task_id": row.id, "position": at, "label": label, "state": "waiting", "request": dict(asked)}
            for at, (label, asked) in enumerate(parts)
        ]
        session.execute(insert(DescriptionTaskPartRow), values)
    return row.id


def find_task(session: Session, task_id: str, set_id: str | None = None) -> Task:
    """A task, of any set or of this one. Raises NotFound."""
    row = _row(session, task_id, set_id)
    return Task(row.id, row.kind, row.description_set_id, row.image_set_id, row.request)


def task_dict(session: Session, task_id: str, set_id: str | None = None) -> dict[str, Any]:
    """A task with counts of its parts, its job and its result. Raises NotFound."""
    return _dicts(session, [_row(session, task_id, set_id)])[0]


def list_tasks(
    session: Session, set_id: str, kind: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Tasks of a set, newest first, in the shape of `task_dict`; all, or those of one kind."""
    row = DescriptionTaskRow
    query = select(row).where(*_of_set(set_id, kind)).order_by(row.created_at.desc(), row.id.desc())
    return _dicts(session, session.scalars(query.limit(limit).offset(offset)).all())


def count_tasks(session: Session, set_id: str, kind: str | None = None) -> int:
    """How many tasks `list_tasks` would give over all pages."""
    return session.scalar(select(func.count(DescriptionTaskRow.id)).where(*_of_set(set_id, kind))) or 0


def newest_result(session: Session, set_id: str, kind: str) -> dict[str, Any] | None:
    """The result of the task of this kind that was finished last, with its `task_id`; None where none is."""
    row = DescriptionTaskRow
    query = select(row).where(*_of_set(set_id, kind), row.finished_at.is_not(None), row.result.is_not(None))
    found = session.scalar(query.order_by(row.finished_at.desc(), row.id.desc()).limit(1))
    return None if found is None or found.result is None else {**found.result, "task_id": found.id}


def unfinished_task(session: Session, set_id: str, kind: str) -> str | None:
    """The newest task of this kind that has neither a job nor a result: one that a terminal began."""
    row = DescriptionTaskRow
    query = select(row.id).outerjoin(JobRow, JobRow.description_task_id == row.id)
    query = query.where(*_of_set(set_id, kind), row.finished_at.is_(None), JobRow.id.is_(None))
    return session.scalar(query.order_by(row.created_at.desc(), row.id.desc()).limit(1))


def list_parts(
    session: Session, task_id: str, state: str | None = None, limit: int | None = None, offset: int = 0
) -> list[dict[str, Any]]:
    """Parts in order: position, label, state, request, answer, error, finished_at; all, or those in one state."""
    row = DescriptionTaskPartRow
    query = select(row).where(row.task_id == task_id).order_by(row.position)
    query = query if state is None else query.where(row.state == state)
    return [_part_dict(each) for each in session.scalars(query.limit(limit).offset(offset))]


def count_parts(session: Session, task_id: str) -> dict[str, int]:
    """{state: parts} with every state."""
    return _counts(session, [task_id])[task_id]


def waiting_parts(session: Session, task_id: str) -> list[TaskPart]:
    """Parts that are to be done, in order."""
    row = DescriptionTaskPartRow
    query = select(row).where(row.task_id == task_id, row.state == "waiting").order_by(row.position)
    return [TaskPart(each.position, each.label, each.request, each.answer) for each in session.scalars(query)]


def answers_of_parts(session: Session, task_id: str) -> list[dict[str, Any]]:
    """What came back for parts so far, also for those that failed."""
    row = DescriptionTaskPartRow
    query = select(row.answer).where(row.task_id == task_id, row.answer.is_not(None)).order_by(row.position)
    return [each for each in session.scalars(query) if each]


def finish_part(session: Session, task_id: str, position: int, answer: Mapping[str, Any]) -> bool:
    """A waiting part is done; whether it was waiting. Called in the transaction of what came of it."""
    return _end_part(session, task_id, position, "done", answer=dict(answer), error=None)


def fail_part(
    session: Session, task_id: str, position: int, error: Mapping[str, Any], answer: Mapping[str, Any] | None = None
) -> bool:
    """A waiting part has failed; whether it was waiting. answer: what came back nevertheless."""
    return _end_part(
        session, task_id, position, "failed", error=dict(error), answer=dict(answer) if answer is not None else None
    )


def wait_again(session: Session, task_id: str, before: datetime) -> int:
    """Let parts wait again that failed before a moment, such as that of a person's wish to try again; how many."""
    row = DescriptionTaskPartRow
    found = session.execute(
        update(row)
        .where(row.task_id == task_id, row.state == "failed", row.finished_at < before)
        .values(state="waiting", error=None, finished_at=None)
        .returning(row.position)
        .execution_options(synchronize_session=False)
    )
    return len(found.all())


def finish_task(session: Session, task_id: str, result: Mapping[str, Any]) -> None:
    """The task is done, with this result."""
    session.execute(
        update(DescriptionTaskRow)
        .where(DescriptionTaskRow.id == task_id)
        .values(result=dict(result), finished_at=now())
        .execution_options(synchronize_session=False)
    )


def texts_of_set(session: Session, set_id: str) -> list[str]:
    """Every sentence the set ever held as it is worded now, those that were rejected or taken out among them."""
    return list(session.scalars(select(DescriptionRow.text).where(DescriptionRow.description_set_id == set_id)))


def _row(session: Session, task_id: str, set_id: str | None) -> DescriptionTaskRow:
    row = session.get(DescriptionTaskRow, task_id, populate_existing=True)
    if row is None or (set_id is not None and row.description_set_id != set_id):
        raise NotFound("A task of this description set", f"'{task_id}' is none", "List its tasks.")
    return row


def _of_set(set_id: str, kind: str | None) -> list[Any]:
    row = DescriptionTaskRow
    return [row.description_set_id == set_id, *([] if kind is None else [row.kind == kind])]


def _end_part(session: Session, task_id: str, position: int, state: str, **values: Any) -> bool:
    row = DescriptionTaskPartRow
    changed = session.execute(
        update(row)
        .where(row.task_id == task_id, row.position == position, row.state == "waiting")
        .values(state=state, finished_at=now(), **values)
        .returning(row.position)
        .execution_options(synchronize_session=False)
    )
    return changed.first() is not None


def _counts(session: Session, task_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found = {task_id: dict.fromkeys(PART_STATES, 0) for task_id in task_ids}
    row = DescriptionTaskPartRow
    query = select(row.task_id, row.state, func.count()).where(row.task_id.in_(task_ids))
    for task_id, state, count in session.execute(query.group_by(row.task_id, row.state)):
        found[task_id][state] = count
    return found


def _dicts(session: Session, rows: Sequence[DescriptionTaskRow]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    counts = _counts(session, ids)
    jobs = {row.description_task_id: row for row in session.scalars(select(JobRow).where(_job_of(ids)))}
    names = _names(session, DescriptionSetRow, {row.description_set_id for row in rows})
    images = _names(session, ImageSetRow, {row.image_set_id for row in rows if row.image_set_id})
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "description_set": {"id": row.description_set_id, "name": names[row.description_set_id]},
            "image_set": {"id": row.image_set_id, "name": images[row.image_set_id]} if row.image_set_id else None,
            "request": row.request,
            "result": row.result,
            "created_at": iso(row.created_at),
            "finished_at": iso(row.finished_at),
            "parts": counts[row.id],
            "job": _job_dict(jobs.get(row.id)),
            "unreadable": unreadable_columns(row),
        }
        for row in rows
    ]


def _names(session: Session, table: type[DescriptionSetRow | ImageSetRow], ids: Collection[str]) -> dict[str, str]:
    return {id: name for id, name in session.execute(select(table.id, table.name).where(table.id.in_(ids)))}  # noqa: C416


def _job_of(task_ids: Sequence[str]) -> Any:
    return JobRow.description_task_id.in_(task_ids)


def _job_dict(row: JobRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    shown = ("id", "state", "stage", "done", "total", "seconds_left", "note", "error")
    return {name: getattr(row, name) for name in shown}


def _part_dict(row: DescriptionTaskPartRow) -> dict[str, Any]:
    return {
        "position": row.position,
        "label": row.label,
        "state": row.state,
        "request": row.request,
        "answer": row.answer,
        "error": row.error,
        "finished_at": iso(row.finished_at),
    }
