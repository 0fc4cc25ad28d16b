"""`job`: trainings in the queue."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import LARGEST_NUMBER, JsonFlag, command, output

app = typer.Typer(help="Training jobs: listed, watched, cancelled and tried again.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="A job's id.")]


@app.command("list")
@command
def list_(
    state: Annotated[str | None, typer.Option(help="Only queued, running, succeeded, failed or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_NUMBER, help="At most so many, newest first.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List jobs, newest first."""
    from app.services.jobs import list_jobs

    with output(json) as out, opened() as ctx:
        columns = ("id", "state", "label", "stage", "epoch", "epochs", "seconds_left")
        out.table(list_jobs(ctx, state, limit), columns, "There are no jobs.")


@app.command()
@command
def show(job_id: Id, json: JsonFlag = False) -> None:
    """Show a job's state, progress and attempts."""
    from app.services.jobs import get_job

    with output(json) as out, opened() as ctx:
        out.row(job := get_job(ctx, job_id), _sentence(job))


@app.command()
@command
def cancel(job_id: Id, json: JsonFlag = False) -> None:
    """Take a job out of the queue, or stop it."""
    from app.services.jobs import cancel_job

    with output(json) as out, opened() as ctx:
        out.row(job := cancel_job(ctx, job_id), _sentence(job))


@app.command()
@command
def retry(job_id: Id, json: JsonFlag = False) -> None:
    """Queue a failed or cancelled job again; it goes on from its last finished epoch."""
    from app.services.jobs import retry_job

    with output(json) as out, opened() as ctx:
        out.row(job := retry_job(ctx, job_id), _sentence(job))


@app.command()
@command
def logs(job_id: Id, json: JsonFlag = False) -> None:
    """Print a job's log."""
    from app.services.jobs import job_log

    with output(json) as out, opened() as ctx:
        log = job_log(ctx, job_id)
        out.row({"id": job_id, "log": log}, log or "This job has written no log.")


def _sentence(job: dict[str, Any]) -> str:
    where = f", epoch {job['epoch']} of {job['epochs']}" if job["epoch"] else ""
    why = f"\n{job['error']['message']}" if job["error"] else ""
    return f"{job['label']}: {job['state']}{where}.{why}"
