"""Jobs, attempts and workers: the rows of the queue, and the conditional writes that keep it honest.

Every write for a running job names the fence it was claimed under. Who holds an older fence changes no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.experiments import cell_counts
from core.records.ids import new_id
from core.records.tables import (
    AttemptRow,
    DescriptionSetRow,
    DescriptionTaskPartRow,
    DescriptionTaskRow,
    ExperimentCellRow,
    ExplanationBatchMeasureRow,
    ExplanationBatchRow,
    JobRow,
    RunRow,
    WorkerRow,
)
from core.records.types import finite, iso, now, unreadable_columns

PROGRESS = ("stage", "done", "total", "epoch", "epochs", "seconds_per_epoch", "seconds_left", "note")
EXPERIMENT, BATCH = "experiment", "explain"
# A worker that has not been heard of for this long no longer counts as there.
WORKER_GONE = timedelta(seconds=30)


@dataclass(frozen=True)
class Claim:
    """A job that has just become ours. run_id: None where it is for no run. slot: the device it may use, from 0."""

    job_id: str
    run_id: str | None
    fence: int
    attempt: int
    slot: int


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt that SQL believes to be at work.

    host: where pid and pid_started mean something. pid None: its process has not reported yet.
    """

    job_id: str
    number: int
    fence: int
    executor: str
    host: str
    slot: int
    pid: int | None
    pid_started: str | None
    external_id: str | None
    heartbeat_at: datetime | None
    cancel_requested: bool


@dataclass(frozen=True)
class Held:
    """What a running job learns when it reports. ours: its fence is still the newest; otherwise it must stop."""

    ours: bool
    cancel_requested: bool


def add_job(session: Session, run_id: str, label: str, kind: str = "train") -> str:
    """A queued job for a run; returns its id."""
    row = JobRow(id=new_id(), kind=kind, run_id=run_id, label=label)
    session.add(row)
    session.flush()
    return row.id


def add_experiment_job(session: Session, experiment_id: str, label: str) -> str:
    """A queued job for the cells of an experiment; returns its id."""
    row = JobRow(id=new_id(), kind=EXPERIMENT, experiment_id=experiment_id, label=label)
    session.add(row)
    session.flush()
    return row.id


def add_task_job(session: Session, task_id: str, kind: str, label: str) -> str:
    """A queued job for a task about descriptions; returns its id. kind: that of the task."""
    row = JobRow(id=new_id(), kind=kind, description_task_id=task_id, label=label)
    session.add(row)
    session.flush()
    return row.id


def add_batch_job(session: Session, batch_id: str, label: str) -> str:
    """A queued job for a batch of explanations; returns its id."""
    row = JobRow(id=new_id(), kind=BATCH, explanation_batch_id=batch_id, label=label)
    session.add(row)
    session.flush()
    return row.id


def newest_job_of_experiment(session: Session, experiment_id: str) -> JobRow | None:
    """The job that an experiment had last; holds its row until the writing session ends."""
    query = select(JobRow).where(JobRow.experiment_id == experiment_id).execution_options(populate_existing=True)
    return session.scalar(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(1).with_for_update())


def find_job(session: Session, job_id: str) -> JobRow:
    """The row of a job. Raises NotFound."""
    row = session.get(JobRow, job_id, populate_existing=True)
    if row is None:
        raise NotFound("A job with this id", f"'{job_id}' is none", "List the jobs to see their ids.")
    return row


def list_jobs(
    session: Session, state: str | Sequence[str] | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Jobs, the newest first, in the shape of `job_dict`; all, or those in one state or several."""
    query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit).offset(offset)
    return _dicts(session, session.scalars(query.where(*_in_states(state))).all())


def count_jobs(session: Session, state: str | Sequence[str] | None = None) -> int:
    """How many jobs `list_jobs` would give over all pages."""
    return session.scalar(select(func.count(JobRow.id)).where(*_in_states(state))) or 0


def _in_states(state: str | Sequence[str] | None) -> list[Any]:
    states = [state] if isinstance(state, str) else list(state or [])
    return [JobRow.state.in_(states)] if states else []


def job_dict(session: Session, job_id: str) -> dict[str, Any]:
    """One job with progress, queue position (from 1, None when not queued), error and attempts. Raises NotFound."""
    return _dicts(session, [find_job(session, job_id)])[0]


def claim_next(session: Session, *, executor: str, host: str, slots: int) -> Claim | None:
    """Make the longest waiting job ours, with a new fence and a new attempt; None if there is none or no free slot.

    slots: how many jobs may run at once on `host`, whoever started them. Safe against any number of callers.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Counting free slots and taking one must not interleave with another worker of the same host.
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:host))"), {"host": host})
    taken = set(session.scalars(select(AttemptRow.slot).where(AttemptRow.state == "running", AttemptRow.host == host)))
    free = next((slot for slot in range(slots) if slot not in taken), None)
    if free is None:
        return None
    waiting = select(JobRow.id).where(JobRow.state == "queued").order_by(JobRow.queued_at, JobRow.id).limit(1)
    job = session.execute(
        update(JobRow)
        .where(JobRow.id == waiting.with_for_update(skip_locked=True).scalar_subquery(), JobRow.state == "queued")
        .values(
            state="running",
            fence=JobRow.fence + 1,
            started_at=func.coalesce(JobRow.started_at, now()),
            heartbeat_at=now(),
            finished_at=None,
            error=None,
            stage=None,
            done=0,
            total=0,
            seconds_per_epoch=None,
            seconds_left=None,
            note=None,
        )
        .returning(JobRow.id, JobRow.run_id, JobRow.fence)
        .execution_options(synchronize_session=False)
    ).first()
    if job is None:
        return None
    numbers = select(func.coalesce(func.max(AttemptRow.number), 0)).where(AttemptRow.job_id == job.id)
    number = (session.scalar(numbers) or 0) + 1
    session.add(AttemptRow(job_id=job.id, number=number, fence=job.fence, executor=executor, host=host, slot=free))
    session.flush()
    return Claim(job.id, job.run_id, job.fence, number, free)


def has_free_work(session: Session, *, host: str, slots: int) -> bool:
    """Whether a job waits and `host` has a free slot, as far as can be seen without a lock."""
    at_work = select(func.count(AttemptRow.id)).where(AttemptRow.state == "running", AttemptRow.host == host)
    if (session.scalar(at_work) or 0) >= slots:
        return False
    return session.scalar(select(JobRow.id).where(JobRow.state == "queued").limit(1)) is not None


def move_job(session: Session, job_id: str, old: str, new: str, *, fence: int | None = None, **values: Any) -> bool:
    """Change a job's state if it is still the old one (and still under this fence); whether that was so."""
    mine = [JobRow.id == job_id, JobRow.state == old]
    mine += [] if fence is None else [JobRow.fence == fence]
    changed = session.execute(
        update(JobRow)
        .where(*mine)
        .values(state=new, **values)
        .returning(JobRow.id)
        .execution_options(synchronize_session=False)
    )
    return changed.first() is not None


def end_attempt(session: Session, job_id: str, fence: int, state: str, error: Mapping[str, Any] | None = None) -> None:
    """Close the attempt made under this fence."""
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == job_id, AttemptRow.fence == fence, AttemptRow.state == "running")
        .values(state=state, finished_at=now(), error=dict(error) if error else None)
        .execution_options(synchronize_session=False)
    )


def record_process(
    session: Session,
    job_id: str,
    fence: int,
    *,
    pid: int | None = None,
    pid_started: str | None = None,
    external_id: str | None = None,
) -> None:
    """Note which process works on the job under this fence."""
    facts = {"pid": pid, "pid_started": pid_started, "external_id": external_id}
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == job_id, AttemptRow.fence == fence)
        .values({name: value for name, value in facts.items() if value is not None})
        .execution_options(synchronize_session=False)
    )


def beat(session: Session, job_id: str, fence: int, progress: Mapping[str, Any] | None = None) -> Held:
    """Say that the job under this fence lives, with its progress where given, and learn whether to go on."""
    values = {name: progress[name] for name in PROGRESS if name in progress} if progress else {}
    values |= {name: finite(values[name]) for name in ("seconds_per_epoch", "seconds_left") if name in values}
    row = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "running", JobRow.fence == fence)
        .values(heartbeat_at=now(), **values)
        .returning(JobRow.cancel_requested_at)
        .execution_options(synchronize_session=False)
    ).first()
    return Held(False, False) if row is None else Held(True, row.cancel_requested_at is not None)


def request_cancel(session: Session, job_id: str) -> bool:
    """Ask a running job to stop; whether it was running."""
    asked = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "running")
        .values(cancel_requested_at=func.coalesce(JobRow.cancel_requested_at, now()))
        .returning(JobRow.id)
        .execution_options(synchronize_session=False)
    )
    return asked.first() is not None


def is_cancel_requested(session: Session, job_id: str) -> bool:
    """Whether somebody asked the job to stop; holds its row until the transaction ends. Raises NotFound."""
    find_job(session, job_id)
    query = select(JobRow.cancel_requested_at).where(JobRow.id == job_id).with_for_update()
    return session.scalar(query) is not None


def running_attempts(session: Session) -> list[RunningAttempt]:
    """All attempts at work, on every host."""
    query = (
        select(AttemptRow, JobRow.heartbeat_at, JobRow.cancel_requested_at)
        .join(JobRow, AttemptRow.job_id == JobRow.id)
        .where(AttemptRow.state == "running", JobRow.state == "running", JobRow.fence == AttemptRow.fence)
        .order_by(AttemptRow.id)
    )
    return [
        RunningAttempt(
            job_id=row.job_id,
            number=row.number,
            fence=row.fence,
            executor=row.executor,
            host=row.host,
            slot=row.slot,
            pid=row.pid,
            pid_started=row.pid_started,
            external_id=row.external_id,
            heartbeat_at=heartbeat_at,
            cancel_requested=cancel_at is not None,
        )
        for row, heartbeat_at, cancel_at in session.execute(query)
    ]


def count_lost_attempts(session: Session, job_id: str) -> int:
    """Attempts that died since the job was last put into the queue by a person.

    Of a job with cells, parts or measures only those that began after the last of these came: the others got on.
    """
    cell, part, measure = ExperimentCellRow, DescriptionTaskPartRow, ExplanationBatchMeasureRow
    ends = (
        select(func.max(cell.finished_at)).where(cell.experiment_id == JobRow.experiment_id),
        select(func.max(part.finished_at)).where(part.task_id == JobRow.description_task_id),
        select(func.max(measure.measured_at)).where(measure.batch_id == JobRow.explanation_batch_id),
    )
    ended = func.coalesce(*(each.correlate(JobRow).scalar_subquery() for each in ends))
    query = (
        select(func.count(AttemptRow.id))
        .join(JobRow, AttemptRow.job_id == JobRow.id)
        .where(AttemptRow.job_id == job_id, AttemptRow.state == "lost", AttemptRow.started_at >= JobRow.queued_at)
        .where(ended.is_(None) | (AttemptRow.started_at >= ended))
    )
    return session.scalar(query) or 0


def beat_worker(session: Session, worker_id: str, *, host: str, pid: int, executor: str, slots: int) -> None:
    """Say that a worker lives; workers that have long been silent are forgotten."""
    session.execute(delete(WorkerRow).where(WorkerRow.heartbeat_at < now() - 10 * WORKER_GONE))
    known = session.execute(
        update(WorkerRow).where(WorkerRow.id == worker_id).values(heartbeat_at=now()).returning(WorkerRow.id)
    ).first()
    if known is None:
        session.add(WorkerRow(id=worker_id, host=host, pid=pid, executor=executor, slots=slots))


def drop_worker(session: Session, worker_id: str) -> None:
    """Forget a worker that stops."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def list_workers(session: Session) -> list[dict[str, Any]]:
    """Workers heard of lately: id, host, pid, executor, slots, started_at, heartbeat_age_s."""
    query = select(WorkerRow).where(WorkerRow.heartbeat_at >= now() - WORKER_GONE).order_by(WorkerRow.started_at)
    return [
        {
            "id": row.id,
            "host": row.host,
            "pid": row.pid,
            "executor": row.executor,
            "slots": row.slots,
            "started_at": iso(row.started_at),
            "heartbeat_age_s": _age_s(row.heartbeat_at),
        }
        for row in session.scalars(query)
    ]


def _dicts(session: Session, rows: Sequence[JobRow]) -> list[dict[str, Any]]:
    attempts = _attempts(session, [row.id for row in rows])
    positions = _queue_positions(session, [row.id for row in rows if row.state == "queued"])
    trained_on = _image_sets(session, [row.run_id for row in rows if row.run_id])
    tasks = [row.description_task_id for row in rows if row.description_task_id]
    described = _description_sets(session, tasks) if tasks else {}
    batches = [row.explanation_batch_id for row in rows if row.explanation_batch_id]
    explained = _explained_sets(session, batches) if batches else {}
    experiments = [row.experiment_id for row in rows if row.experiment_id]
    compared = cell_counts(session, experiments) if experiments else {}
    return [
        _dict(row, positions.get(row.id), attempts[row.id])
        | {
            "image_set": trained_on.get(row.run_id or "") or explained.get(row.explanation_batch_id or ""),
            "description_set": described.get(row.description_task_id or ""),
            "cells": compared.get(row.experiment_id or ""),
        }
        for row in rows
    ]


def _image_sets(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{run: {id, name}} of the images that runs train on; the id is None once the set was deleted."""
    query = select(RunRow.id, RunRow.image_set_id, RunRow.image_set_name).where(RunRow.id.in_(run_ids))
    return {run: {"id": id, "name": name} for run, id, name in session.execute(query)}


def _explained_sets(session: Session, batch_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{batch: {id, name}} of the images that batches measure; the id is None once the set was deleted."""
    batch = ExplanationBatchRow
    query = select(batch.id, batch.image_set_id, batch.image_set_name).where(batch.id.in_(batch_ids))
    return {batch_id: {"id": id, "name": name} for batch_id, id, name in session.execute(query)}


def _description_sets(session: Session, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{task: {id, name}} of the description sets that tasks are about."""
    task, described = DescriptionTaskRow, DescriptionSetRow
    query = select(task.id, described.id, described.name).join(described, task.description_set_id == described.id)
    return {
        task_id: {"id": id, "name": name} for task_id, id, name in session.execute(query.where(task.id.in_(task_ids)))
    }


def _queue_positions(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    place = func.row_number().over(order_by=(JobRow.queued_at, JobRow.id))
    waiting = select(JobRow.id, place.label("place")).where(JobRow.state == "queued").subquery()
    mine = select(waiting.c.id, waiting.c.place).where(waiting.c.id.in_(job_ids))
    return {job_id: position for job_id, position in session.execute(mine)} if job_ids else {}  # noqa: C416


def _attempts(session: Session, job_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {job_id: [] for job_id in job_ids}
    query = select(AttemptRow).where(AttemptRow.job_id.in_(job_ids)).order_by(AttemptRow.number)
    for row in session.scalars(query):
        found[row.job_id].append(
            {
                "number": row.number,
                "state": row.state,
                "executor": row.executor,
                "host": row.host,
                "pid": row.pid,
                "started_at": iso(row.started_at),
                "finished_at": iso(row.finished_at),
                "error": row.error,
            }
        )
    return found


def _dict(row: JobRow, position: int | None, attempts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "run_id": row.run_id,
        "experiment_id": row.experiment_id,
        "description_task_id": row.description_task_id,
        "explanation_batch_id": row.explanation_batch_id,
        "label": row.label,
        "created_at": iso(row.created_at),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        **{name: getattr(row, name) for name in PROGRESS},
        "heartbeat_age_s": _age_s(row.heartbeat_at) if row.state == "running" else None,
        "cancel_requested": row.state == "running" and row.cancel_requested_at is not None,
        "queue_position": position,
        "error": row.error,
        "attempts": attempts,
        "unreadable": unreadable_columns(row),
    }


def _age_s(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, round((now() - moment).total_seconds(), 1))
