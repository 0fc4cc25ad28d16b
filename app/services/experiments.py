"""Experiments: checked and recorded with all their cells, worked on here or by a job, and put together as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.experiment_estimate import measured_estimate
from app.services.experiment_plan import Given, Planned, plan
from app.services.experiment_rows import rows_of
from app.services.jobs import cancel_job, get_job
from core.errors import Conflict, NotFound
from core.records import audit, jobs
from core.records import experiments as records
from core.records import image_sets as image_set_records
from core.records import runs as run_records
from training_jobs import job_queue

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.estimate import Estimate
    from core.tuning.progress import Progress

UNDER_WAY = ("queued", "running")


def create(ctx: Context, given: Given, *, paths: bool = False) -> dict[str, Any]:
    """Record an experiment whose name is new. Raises before anything is recorded if it could not be run.

    paths: whether images and descriptions may be named by their place on this machine; images are then kept in the home
    folder as image sets, one that is there already is used. Raises InvalidInput, InvalidOption, NotFound, TooFewImages,
    ClassMismatch, Unavailable, and Conflict where the name is taken.
    """
    return _record(ctx, plan(ctx, given, paths=paths))


def create_or_resume(ctx: Context, given: Given, *, paths: bool = False) -> dict[str, Any]:
    """The experiment of this name, recorded where there is none.

    Raises as `create`, Conflict only where the one of this name compares something else.
    """
    planned = plan(ctx, given, paths=paths)
    with ctx.db.reading() as session:
        known = records.find_by_name(session, planned.spec.name)
    if known is None:
        return _record(ctx, planned)
    if known.hash != planned.hash:
        raise Conflict(
            f"The experiment '{known.name}' goes on with the images, lines and settings that it began with",
            "other ones were given",
            "Give the changed experiment another name, or delete the old one.",
        )
    return get(ctx, known.id)


def get(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """One experiment: state, counts of cells, job, spec, image sets, wordings. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.experiment_dict(session, str(id_or_name))


def list_experiments(ctx: Context, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Experiments, newest first, without their specs."""
    with ctx.db.reading() as session:
        return records.list_experiments(session, limit, offset)


def count_experiments(ctx: Context) -> int:
    """How many experiments there are."""
    with ctx.db.reading() as session:
        return records.count_experiments(session)


def list_cells(
    ctx: Context, id_or_name: str, limit: int | None = None, offset: int = 0, state: str | None = None
) -> list[dict[str, Any]]:
    """Cells of an experiment in order, all or those in one state. Raises NotFound."""
    with ctx.db.reading() as session:
        found = records.find_experiment(session, str(id_or_name)).id
        return records.list_cells(session, found, state=state, limit=limit, offset=offset)


def show(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """{experiment, cells, rows, notes}: all there is so far; notes say what is missing. Raises NotFound."""
    with ctx.db.reading() as session:
        found = records.experiment_dict(session, str(id_or_name))
        cells = records.list_cells(session, found["id"])
        rows, notes = rows_of(ctx, session, found, cells)
    return {"experiment": found, "cells": cells, "rows": rows, "notes": notes}


def list_rows(ctx: Context, id_or_name: str) -> list[dict[str, Any]]:
    """The rows of what is finished, see `core.experiments.rows`. Raises NotFound."""
    return list(show(ctx, id_or_name)["rows"])


def submit(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Queue the waiting cells of an experiment and return the job. Raises NotFound, Conflict while it is queued."""

    def work(session: Session) -> str:
        found = records.find_experiment(session, str(id_or_name))
        job_id = job_queue.enqueue_experiment(session, found.id, found.name)
        audit.add_audit_entry(session, ACTOR, "submit", "job", job_id)
        return job_id

    return get_job(ctx, ctx.db.write(work))


def cancel(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Stop the job of an experiment; cells that are not finished wait. Raises NotFound, Conflict without such a job."""
    found = get(ctx, id_or_name)
    job = found["job"]
    if job is None or job["state"] not in UNDER_WAY:
        raise Conflict(
            "An experiment is cancelled while its job is queued or running",
            f"'{found['name']}' has none" if job is None else f"that of '{found['name']}' has {job['state']}",
            "One that runs in a terminal is stopped there by Ctrl-C.",
        )
    cancel_job(ctx, job["id"])
    return get(ctx, found["id"])


def retry(ctx: Context, id_or_name: str, cell: int | None = None) -> dict[str, Any]:
    """Let the failed cells of an experiment wait again, no others, and queue it. cell: the position of a lone one.

    Raises NotFound, Conflict where no cell has failed, or not this one.
    """

    def work(session: Session) -> str:
        found = records.find_experiment(session, str(id_or_name))
        if not records.wait_again(session, found.id, cell):
            raise _nothing_failed(session, found.id, found.name, cell)
        newest = jobs.newest_job_of_experiment(session, found.id)
        if newest is None or newest.state not in UNDER_WAY:
            job_queue.enqueue_experiment(session, found.id, found.name)
        audit.add_audit_entry(session, ACTOR, "retry", "experiment", found.id, {} if cell is None else {"cell": cell})
        return found.id

    return get(ctx, ctx.db.write(work))


def _nothing_failed(session: Session, experiment_id: str, name: str, cell: int | None) -> Conflict | NotFound:
    if cell is None:
        return Conflict("Failed cells can be tried again", f"'{name}' has none", "Run the experiment to go on with it.")
    found = records.list_cells(session, experiment_id, positions=[cell])
    if found:
        return Conflict(
            "A failed cell can be tried again", f"cell {cell} is {found[0]['state']}", "Choose another one."
        )
    last = sum(records.count_cells(session, experiment_id).values()) - 1
    return NotFound(f"A cell of '{name}', 0 to {last}", f"{cell} is none", "List the cells to see their positions.")


def delete(ctx: Context, id_or_name: str, *, with_runs: bool = False) -> dict[str, Any]:
    """Delete an experiment; its runs and models stay unless with_runs asks for those that no other experiment has.

    Raises NotFound, Conflict while its job is queued or running.
    """
    deleted: list[str] = []
    models: list[str] = []

    def work(session: Session) -> list[str]:
        found = records.find_experiment(session, str(id_or_name))
        deleted[:] = [found.id]
        lone = records.runs_of_experiment_alone(session, found.id) if with_runs else []
        paths = records.delete_experiment(session, found.id)
        models[:] = [row["model_id"] for row in run_records.list_runs(session, run_ids=lone, limit=len(lone) or 1)]
        for run_id in lone:
            paths += run_records.delete_run(session, run_id)
        audit.add_audit_entry(session, ACTOR, "delete", "experiment", found.id, {"n_runs": len(lone)})
        return paths

    contents.remove(ctx, work)
    for model in filter(None, models):
        ctx.classifiers.forget(model)
    return {"deleted": deleted[0]}


def run_here(
    ctx: Context,
    id_or_name: str,
    *,
    on_cells: Callable[[list[dict[str, Any]]], None],
    on_progress: Callable[[Cell, Progress], None] | None = None,
    on_estimate: Callable[[Estimate], None] | None = None,
) -> dict[str, Any]:
    """Work on an experiment in this process until no cell waits, and give it as `get` does.

    on_cells: gets cells that are recorded as done or failed. on_progress: of trainings. on_estimate: what is left to
    compute, before the first of them; methods that have never been run here are timed for it. Whatever interrupts it,
    the next call goes on from there. Raises NotFound, Unavailable, InvalidInput.
    """
    from training_jobs import cells
    from training_jobs.opened import opened as opened_experiment

    found = get(ctx, id_or_name)

    class Foreground(cells.Listener):
        def progress(self, cell: Cell, progress: Progress) -> None:
            if on_progress:
                on_progress(cell, progress)

        def ended(self, positions: Sequence[int]) -> None:
            with ctx.db.reading() as session:
                on_cells(records.list_cells(session, found["id"], positions=positions))

    if not cells.recover(ctx.db, ctx.settings, found["id"]):
        return get(ctx, found["id"])
    with opened_experiment(ctx.db, ctx.settings, found["id"]) as opened:
        work = cells.Work(ctx.db, ctx.settings, opened, Foreground())
        if on_estimate:
            on_estimate(measured_estimate(ctx, opened, work))
        work.run()
    return get(ctx, found["id"])


def _record(ctx: Context, planned: Planned) -> dict[str, Any]:
    spec = planned.spec

    def work(session: Session) -> str:
        for set_id in [set_id for known in planned.sources.values() for set_id in known.values()]:
            image_set_records.hold_image_set(session, set_id)
        made = records.add_experiment(
            session,
            name=spec.name,
            protocol=spec.protocol,
            backbone=spec.backbone,
            hash=planned.hash,
            spec=spec.as_dict(),
            sources=planned.sources,
            texts=planned.texts,
            cells=planned.cells,
        )
        audit.add_audit_entry(session, ACTOR, "add", "experiment", made, {"n_cells": len(planned.cells)})
        return made

    return get(ctx, ctx.db.write(work))
