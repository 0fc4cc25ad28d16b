"""Experiments and their cells: the rows, and the conditional writes by which several processes may share one.

A cell is claimed under a fresh id, and everything that is written about it names that id: whoever has lost the cell
changes no row. The claim is also the id of the run that the cell will leave, so that its model folder has its name
before the run exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.records.contents import experiment_path, job_path
from core.records.description_use import with_description_versions
from core.records.ids import new_id
from core.records.tables import (
    CELL_STATES,
    DescriptionVersionRow,
    ExperimentCellRow,
    ExperimentRow,
    JobRow,
    RunRow,
)
from core.records.types import finite, iso, now, unreadable_columns
from core.text import shown

ROWS_PER_QUERY = 500
TRIES_TOGETHER = 2
T = TypeVar("T")
UNDER_WAY = ("queued", "running")


@dataclass(frozen=True)
class Holder:
    """The process that works on a cell. host: where pid and pid_started mean something. job_id, fence: of its job."""

    host: str
    pid: int
    pid_started: str | None = None
    job_id: str | None = None
    fence: int | None = None


@dataclass(frozen=True)
class ClaimedCell:
    """A cell that is ours under `claim`; the other fields say which it is, see `ExperimentCellRow`."""

    id: str
    experiment_id: str
    position: int
    claim: str
    image_set_id: str | None
    image_set: str
    line: str
    shots: int | None
    share: float | None
    seed: int
    descriptions: str | None


@dataclass(frozen=True)
class HeldCell:
    """A cell that SQL believes to be at work. job_is_at_work: its job still runs under its fence; None without job.

    attempts: how often it was begun.
    """

    id: str
    claim: str
    holder: Holder
    heartbeat_at: datetime | None
    job_is_at_work: bool | None
    attempts: int


def add_experiment(
    session: Session,
    *,
    name: str,
    protocol: str,
    backbone: str,
    hash: str,
    spec: Mapping[str, Any],
    sources: Mapping[str, Any],
    texts: Mapping[str, Any],
    cells: Sequence[Mapping[str, Any]],
) -> str:
    """Record an experiment with its cells, all waiting, and return its id. Raises Conflict if the name is taken.

    cells: image_set_id, image_set_name, image_set_fingerprint, line, method, shots, share, seed and descriptions of
    each.
    """
    if session.scalar(select(ExperimentRow.id).where(ExperimentRow.name == name)):
        raise Conflict(
            "Every experiment has a name of its own",
            f"'{shown(name)}' exists already",
            "Choose another name or delete the old experiment first.",
        )
    row = ExperimentRow(
        id=new_id(),
        name=name,
        protocol=protocol,
        backbone=backbone,
        hash=hash,
        spec=dict(spec),
        sources=dict(sources),
        texts=dict(texts),
    )
    session.add(row)
    session.flush()
    placed = [{"id": new_id(), "experiment_id": row.id, "position": at, **cell} for at, cell in enumerate(cells)]
    for some in _pieces(placed, ROWS_PER_QUERY):
        session.execute(insert(ExperimentCellRow), some)
    return row.id


def find_experiment(session: Session, id_or_name: str) -> ExperimentRow:
    """The row of an experiment. Raises NotFound."""
    row = session.get(ExperimentRow, id_or_name)
    row = row or session.scalar(select(ExperimentRow).where(ExperimentRow.name == id_or_name))
    if row is None:
        raise NotFound(
            "An experiment with this id or name",
            f"'{shown(id_or_name)}' is none",
            "List the experiments to see their names.",
        )
    return row


def find_by_name(session: Session, name: str) -> ExperimentRow | None:
    """The experiment of a name, if there is one."""
    return session.scalar(select(ExperimentRow).where(ExperimentRow.name == name))


def list_experiments(session: Session, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Experiments, the newest first: id, name, protocol, backbone, hash, created_at, state, cells (counts), job."""
    query = select(ExperimentRow).order_by(ExperimentRow.created_at.desc(), ExperimentRow.id.desc())
    return _dicts(session, session.scalars(query.limit(limit).offset(offset)).all())


def count_experiments(session: Session) -> int:
    """How many experiments there are."""
    return session.scalar(select(func.count(ExperimentRow.id))) or 0


def experiment_dict(session: Session, id_or_name: str) -> dict[str, Any]:
    """One experiment with its spec, the ids of its image sets and where its wordings are from. Raises NotFound."""
    row = find_experiment(session, id_or_name)
    named = ("source", "version_id")
    wordings = {
        name: {of: {key: text.get(key) for key in named} for of, text in by_set.items()}
        for name, by_set in row.texts.items()
    }
    return _dicts(session, [row])[0] | {"spec": row.spec, "sources": row.sources, "descriptions": wordings}


def list_cells(
    session: Session,
    experiment_id: str,
    *,
    state: str | None = None,
    positions: Sequence[int] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Cells in order, a page at a time: what they are, their state, and the metrics of their run, by part too."""
    query = (
        select(ExperimentCellRow, RunRow.metrics, RunRow.parts, RunRow.notes, RunRow.description_version_id)
        .outerjoin(RunRow, ExperimentCellRow.run_id == RunRow.id)
        .where(ExperimentCellRow.experiment_id == experiment_id)
        .order_by(ExperimentCellRow.position)
    )
    query = query if state is None else query.where(ExperimentCellRow.state == state)
    query = query if positions is None else query.where(ExperimentCellRow.position.in_(positions))
    found = [_cell_dict(row) for row in session.execute(query.limit(limit).offset(offset))]
    return with_description_versions(session, found)


def leakages_of(session: Session, experiment_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The image set of each finished cell, and what its run says of leakage, where it says something."""
    query = (
        select(ExperimentCellRow.image_set_name, RunRow.leakage)
        .join(RunRow, ExperimentCellRow.run_id == RunRow.id)
        .where(ExperimentCellRow.experiment_id == experiment_id, RunRow.sealed_at.is_not(None))
        .order_by(ExperimentCellRow.position)
    )
    return [(image_set, leakage) for image_set, leakage in session.execute(query) if leakage]


def cell_states(session: Session, experiment_id: str) -> list[str]:
    """The state of each cell, in order."""
    cell = ExperimentCellRow
    return list(session.scalars(select(cell.state).where(cell.experiment_id == experiment_id).order_by(cell.position)))


def count_cells(session: Session, experiment_id: str) -> dict[str, int]:
    """How many cells are in each state."""
    return cell_counts(session, [experiment_id])[experiment_id]


def claim_cells(session: Session, experiment_id: str, holder: Holder, most: int = 1) -> list[ClaimedCell]:
    """Make the first waiting cell ours, and up to `most` in all that differ from it in their seed only.

    In order; empty if none waits. One that was begun TRIES_TOGETHER times is taken alone: what its process died of may
    be the memory of several, and what one does is not to be the others' end. Safe against any number of callers.
    """
    cell = ExperimentCellRow
    waiting = [cell.experiment_id == experiment_id, cell.state == "waiting"]
    query = select(cell).where(*waiting).order_by(cell.position).with_for_update(skip_locked=True)
    first = session.scalar(query.limit(1).execution_options(populate_existing=True))
    if first is None:
        return []
    if first.attempts >= TRIES_TOGETHER:
        most = 1
    alike = (getattr(cell, name).is_not_distinct_from(getattr(first, name)) for name in _ALL_BUT_SEED)
    fresh = (cell.attempts < TRIES_TOGETHER) | (cell.id == first.id)
    rows = session.scalars(query.where(*alike, fresh).limit(most).execution_options(populate_existing=True)).all()
    for row in rows:
        row.state, row.claim, row.holder = "running", new_id(), asdict(holder)
        row.heartbeat_at = row.started_at = now()
        row.finished_at = row.run_id = row.error = None
    session.flush()
    return [_claimed(row) for row in rows]


_ALL_BUT_SEED = ("image_set_name", "line", "shots", "share", "descriptions")


def _claimed(row: ExperimentCellRow) -> ClaimedCell:
    return ClaimedCell(
        row.id,
        row.experiment_id,
        row.position,
        row.claim or "",
        row.image_set_id,
        row.image_set_name,
        row.line,
        row.shots,
        row.share,
        row.seed,
        row.descriptions,
    )


def waiting_cells(session: Session, experiment_id: str) -> list[ClaimedCell]:
    """The cells of an experiment that wait, in order; nobody's claim is on them."""
    cell = ExperimentCellRow
    query = select(cell).where(cell.experiment_id == experiment_id, cell.state == "waiting").order_by(cell.position)
    return [_claimed(row) for row in session.scalars(query)]


def existing_version(session: Session, version_id: str | None) -> str | None:
    """The id of a version of descriptions, if it has not been deleted."""
    query = select(DescriptionVersionRow.id).where(DescriptionVersionRow.id == version_id)
    return session.scalar(query) if version_id else None


def take_over(session: Session, claim: str, hash: str) -> str | None:
    """Finish a claimed cell with the run of a finished cell of this hash, of any experiment; that run, if there is one.

    Otherwise the cell is noted as begun under this hash.
    """
    known = runs_of_hashes(session, [hash]).get(hash)
    if known is None:
        _write(session, claim, hash=hash, attempts=ExperimentCellRow.attempts + 1)
        return None
    done = {"state": "done", "run_id": known, "reused": True, "finished_at": now(), "claim": None, "holder": None}
    return known if _write(session, claim, hash=hash, **done) else None


def runs_of_hashes(session: Session, hashes: Sequence[str]) -> dict[str, str]:
    """The run of the finished cell of each hash that has one."""
    cell = ExperimentCellRow
    found: dict[str, str] = {}
    for some in _pieces(dict.fromkeys(hashes), ROWS_PER_QUERY):
        query = select(cell.hash, func.min(cell.run_id)).where(cell.hash.in_(some), cell.state == "done")
        found |= {hash: run for hash, run in session.execute(query.group_by(cell.hash)) if hash and run}
    return found


def begin_cell(session: Session, claim: str) -> bool:
    """Note that a cell whose result cannot be named is begun; False if it is not ours any more."""
    return _write(session, claim, attempts=ExperimentCellRow.attempts + 1)


def beat_cells(session: Session, claims: Sequence[str]) -> None:
    """Say that the work on cells goes on."""
    for claim in claims:
        _write(session, claim, heartbeat_at=now())


def finish_cell(session: Session, claim: str, run_id: str, seconds: float) -> bool:
    """The cell has its result; False (and nothing written) if it is not ours any more.

    Called in the transaction that seals the run.
    """
    done = {"state": "done", "run_id": run_id, "reused": False, "seconds": finite(seconds), "finished_at": now()}
    return _write(session, claim, **done, claim=None, holder=None)


def fail_cell(session: Session, claim: str, error: Mapping[str, Any], seconds: float) -> bool:
    """The cell has failed, for a reason that trying again would not mend; False if it is not ours any more."""
    failed = {"state": "failed", "error": dict(error), "seconds": finite(seconds), "finished_at": now()}
    return _write(session, claim, **failed, claim=None, holder=None)


def give_back_cell(session: Session, claim: str) -> bool:
    """The cell waits again, for whoever comes next; False if it is not held under this claim."""
    return _write(session, claim, state="waiting", claim=None, holder=None, heartbeat_at=None)


def held_cells(session: Session, experiment_id: str) -> list[HeldCell]:
    """All cells of an experiment that somebody works on, or has died over."""
    cell = ExperimentCellRow
    query = select(cell).where(cell.experiment_id == experiment_id, cell.state == "running").order_by(cell.position)
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    holders = {row.id: Holder(**row.holder) if row.holder else Holder("", 0) for row in rows}
    ids = {holder.job_id for holder in holders.values() if holder.job_id}
    at_work = select(JobRow.id, JobRow.fence).where(JobRow.id.in_(ids), JobRow.state == "running")
    fences = {id_: fence for id_, fence in session.execute(at_work)} if ids else {}  # noqa: C416
    return [
        HeldCell(row.id, row.claim or "", held, row.heartbeat_at, _at_work(held, fences), row.attempts)
        for row in rows
        for held in (holders[row.id],)
    ]


def wait_again(session: Session, experiment_id: str, position: int | None = None) -> int:
    """Failed cells of an experiment, and finished ones whose run is gone, wait again; how many those are.

    position: of the only one that is to wait, if it is one of them.
    """
    cell = ExperimentCellRow
    again = (cell.state == "failed") | ((cell.state == "done") & cell.run_id.is_(None))
    return _wait(session, experiment_id, again if position is None else again & (cell.position == position))


def recover_lost_results(session: Session, experiment_id: str) -> int:
    """Finished cells whose run was deleted wait again; how many those are."""
    cell = ExperimentCellRow
    return _wait(session, experiment_id, (cell.state == "done") & cell.run_id.is_(None))


def delete_experiment(session: Session, id_or_name: str) -> list[str]:
    """Forget an experiment with its cells and jobs and return their folders, as paths in the home folder. Runs stay.

    Called through `app.services.contents.remove`. Raises NotFound, or Conflict while a job of it is queued or running.
    """
    row = find_experiment(session, id_or_name)
    held = session.scalars(select(JobRow).where(JobRow.experiment_id == row.id).with_for_update()).all()
    if any(job.state in UNDER_WAY for job in held):
        raise Conflict(
            "An experiment is deleted when no job works on it",
            f"'{shown(row.name)}' is queued or running",
            "Cancel it first, or wait until it is done.",
        )
    paths = [experiment_path(row.id), *(job_path(job.id) for job in held)]
    session.delete(row)
    session.flush()
    return paths


def runs_of_experiment_alone(session: Session, experiment_id: str) -> list[str]:
    """Ids of the runs that only this experiment's cells have as their result."""
    cell = ExperimentCellRow
    mine = select(cell.run_id).where(cell.experiment_id == experiment_id, cell.run_id.is_not(None)).distinct()
    others = select(cell.run_id).where(cell.experiment_id != experiment_id, cell.run_id.is_not(None))
    return [run for run in session.scalars(mine.where(cell.run_id.not_in(others)).order_by(cell.run_id)) if run]


def earlier_costs(session: Session, method: str, backbone: str, limit: int = 5) -> list[dict[str, Any]]:
    """What the newest cells of a method on a backbone took, when, and what it depends on: see `cost_of_earlier`.

    Lone trainings do not count: their time holds a start of their own.
    """
    run = RunRow
    columns = (run.seconds, run.training_seconds, run.feature_seconds, run.trained_together, run.steps, run.peak_mb)
    told = (run.n_train, run.options, run.classes, run.created_at.label("at"))
    query = select(*columns, *told).where(run.method == method, _is_of_cell())
    query = query.where(run.backbone == backbone, run.sealed_at.is_not(None), run.seconds > 0)
    # older runs do not say what of their time was training
    query = query.where(run.training_seconds.is_not(None), run.feature_seconds.is_not(None))
    rows = session.execute(query.order_by(run.created_at.desc(), run.id.desc()).limit(limit)).all()
    return [dict(row._mapping) for row in rows]


def earlier_passes(session: Session, backbone: str, pictures: int = 16, limit: int = 200) -> list[dict[str, Any]]:
    """image_set (fingerprint), at and seconds of a picture, of the newest cells that computed features of so many."""
    run = RunRow
    seconds = (run.feature_seconds / run.encoded_pictures).label("seconds")
    query = select(run.image_set_fingerprint.label("image_set"), run.created_at.label("at"), seconds)
    query = query.where(run.backbone == backbone, run.sealed_at.is_not(None), _is_of_cell())
    query = query.where(run.encoded_pictures >= pictures, run.feature_seconds > 0)
    rows = session.execute(query.order_by(run.created_at.desc(), run.id.desc()).limit(limit)).all()
    return [dict(row._mapping) for row in rows]


def _is_of_cell() -> Any:
    return select(ExperimentCellRow.run_id).where(ExperimentCellRow.run_id == RunRow.id).exists()


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    listed = list(items)
    return (listed[start : start + size] for start in range(0, len(listed), size))


def _write(session: Session, held_claim: str, **values: Any) -> bool:
    """Change a cell that is held under this claim; whether it is."""
    cell = ExperimentCellRow
    changed = session.execute(
        update(cell)
        .where(cell.claim == held_claim, cell.state == "running")
        .values(values)
        .returning(cell.id)
        .execution_options(synchronize_session=False)
    )
    return changed.first() is not None


def _wait(session: Session, experiment_id: str, condition: Any) -> int:
    cell = ExperimentCellRow
    changed = session.execute(
        update(cell)
        .where(cell.experiment_id == experiment_id, condition)
        .values(state="waiting", error=None, run_id=None, reused=False, finished_at=None, seconds=None)
        .returning(cell.id)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())


def _at_work(holder: Holder, fences: Mapping[str, int]) -> bool | None:
    return None if holder.job_id is None else fences.get(holder.job_id) == holder.fence


def cell_counts(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many cells of each of these experiments are in each state."""
    cell = ExperimentCellRow
    found = {id_: dict.fromkeys(CELL_STATES, 0) for id_ in ids}
    query = select(cell.experiment_id, cell.state, func.count(cell.id)).where(cell.experiment_id.in_(ids))
    for id_, state, count in session.execute(query.group_by(cell.experiment_id, cell.state)):
        found[id_][state] = count
    return found


def _newest_jobs(session: Session, ids: Sequence[str]) -> dict[str, JobRow]:
    query = select(JobRow).where(JobRow.experiment_id.in_(ids)).order_by(JobRow.created_at, JobRow.id)
    return {job.experiment_id: job for job in session.scalars(query) if job.experiment_id}


def _dicts(session: Session, rows: Sequence[ExperimentRow]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    counts, jobs = cell_counts(session, ids), _newest_jobs(session, ids)
    return [_dict(row, counts[row.id], jobs.get(row.id)) for row in rows]


def _dict(row: ExperimentRow, cells: dict[str, int], job: JobRow | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "protocol": row.protocol,
        "backbone": row.backbone,
        "hash": row.hash,
        "created_at": iso(row.created_at),
        "state": _state(cells, job),
        "cells": cells,
        "n_cells": sum(cells.values()),
        "job": {"id": job.id, "state": job.state, "note": job.note, "seconds_left": job.seconds_left} if job else None,
        "unreadable": unreadable_columns(row),
    }


def _state(cells: Mapping[str, int], job: JobRow | None) -> str:
    """queued, running, waiting (nobody works on what is left), done, or failed (nothing is left, but cells failed)."""
    if job is not None and job.state in UNDER_WAY:
        return job.state
    if cells["running"]:
        return "running"
    if cells["waiting"]:
        return "waiting"
    return "failed" if cells["failed"] else "done"


def _cell_dict(found: Row[ExperimentCellRow, dict[str, Any], dict[str, Any], list[Any], str]) -> dict[str, Any]:
    row, metrics, parts, notes, description_version_id = found
    named = ("classes", "n_test", "metrics")
    return {
        "id": row.id,
        "position": row.position,
        "state": row.state,
        "hash": row.hash,
        "image_set": row.image_set_name,
        "image_set_id": row.image_set_id,
        "image_set_fingerprint": row.image_set_fingerprint,
        "line": row.line,
        "method": row.method,
        "shots": row.shots,
        "share": row.share,
        "seed": row.seed,
        "descriptions": row.descriptions,
        "description_version_id": description_version_id,
        "run": row.run_id,
        "reused": row.reused,
        "attempts": row.attempts,
        "metrics": metrics,
        "parts": {part: {key: each.get(key) for key in named} for part, each in (parts or {}).items()},
        "seconds": row.seconds,
        "error": row.error,
        "notes": list(notes or ()),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "unreadable": unreadable_columns(row),
    }
