"""Jobs: watched, stopped, tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.services.context import ACTOR, Context
from core.errors import InvalidInput
from core.records import audit
from core.records import jobs as records
from core.records.tables import JOB_STATES
from training_jobs import job_queue
from training_jobs.job_log import read_log

States = str | Sequence[str] | None


def list_jobs(ctx: Context, state: States = None, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Jobs, newest first; all, or those in one state or several. Raises InvalidInput for an unknown state."""
    _check_state(state)
    with ctx.db.reading() as session:
        return records.list_jobs(session, state, limit, offset)


def count_jobs(ctx: Context, state: States = None) -> int:
    """How many jobs `list_jobs` has over all pages."""
    _check_state(state)
    with ctx.db.reading() as session:
        return records.count_jobs(session, state)


def get_job(ctx: Context, id: str) -> dict[str, Any]:
    """One job with progress and attempts. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.job_dict(session, str(id))


def cancel_job(ctx: Context, id: str) -> dict[str, Any]:
    """Take a queued job out of the queue or ask a running one to stop. Raises NotFound, Conflict."""

    def work(session: Session) -> None:
        job_queue.cancel(session, str(id))
        audit.add_audit_entry(session, ACTOR, "cancel", "job", str(id))

    ctx.db.write(work)
    return get_job(ctx, id)


def retry_job(ctx: Context, id: str) -> dict[str, Any]:
    """Queue a failed or cancelled job again; it goes on from its checkpoint. Raises NotFound, Conflict."""

    def work(session: Session) -> None:
        job_queue.retry(session, str(id))
        audit.add_audit_entry(session, ACTOR, "retry", "job", str(id))

    ctx.db.write(work)
    return get_job(ctx, id)


def job_log(ctx: Context, id: str) -> str:
    """The end of the job's log. Raises NotFound."""
    return read_log(ctx.settings, get_job(ctx, id)["id"])


def list_workers(ctx: Context) -> list[dict[str, Any]]:
    """Workers that take jobs from the queue now."""
    with ctx.db.reading() as session:
        return records.list_workers(session)


def waiting_sentence(ctx: Context, id: str) -> str:
    """What a queued job waits for: a worker, or jobs before it."""
    if not list_workers(ctx):
        return (
            "No worker runs, so nothing in the queue starts. It goes on by itself as soon as `promptoscope serve` or "
            "`promptoscope worker` brings one."
        )
    position = get_job(ctx, id)["queue_position"] or 1
    return f"It is number {position} in the queue." if position > 1 else "It is next in the queue."


def _check_state(state: States) -> None:
    for each in [state] if isinstance(state, str) else state or []:
        if each not in JOB_STATES:
            raise InvalidInput(f"A state is one of {', '.join(JOB_STATES)}", f"found '{each}'", "Choose one of them.")
