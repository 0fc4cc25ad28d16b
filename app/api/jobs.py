"""Jobs: training queued, watched, stopped and tried again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from app.api import schemas
from app.api.common import InContext, InPages, errors
from app.api.values import Word
from app.services import jobs, training

router = APIRouter(prefix="/jobs", tags=["jobs"])
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@router.get("", summary="List jobs", response_model=schemas.JobList, responses=errors(422))
def list_jobs(
    ctx: InContext,
    pages: InPages,
    state: Annotated[
        list[State] | None, Query(max_length=5, description="Only this state; may be given again.")
    ] = None,
) -> Any:
    """Jobs, newest first."""
    return pages.page(jobs.list_jobs(ctx, state, pages.limit, pages.offset), jobs.count_jobs(ctx, state))


@router.post(
    "",
    summary="Queue one or many trainings",
    status_code=202,
    response_model=schemas.JobList,
    responses=errors(404, 409, 422),
)
def submit(body: schemas.JobSubmission | schemas.TrainingRequest, ctx: InContext) -> Any:
    """Queue trainings, given as one request or as `{"requests": [...]}`.

    Options, shots and needs are checked at once; if one request is wrong none is queued.
    """
    wanted = body.requests if isinstance(body, schemas.JobSubmission) else [body]
    queued = training.submit_many(ctx, [request.model_dump() for request in wanted])
    return {"items": queued, "total": len(queued), "limit": len(queued), "offset": 0}


@router.post(
    "/estimate",
    summary="Estimate a training",
    response_model=schemas.Estimate,
    responses=errors(404, 422),
)
def estimate(body: schemas.TrainingRequest, ctx: InContext) -> Any:
    """Images it would use and roughly how long it would take. Queues nothing."""
    return training.estimate(ctx, body.model_dump())


@router.get("/{job_id}", summary="Show a job", response_model=schemas.Job, responses=errors(404))
def get_job(job_id: Word, ctx: InContext) -> Any:
    """State, progress and attempts of a job."""
    return jobs.get_job(ctx, job_id)


@router.post("/{job_id}/cancel", summary="Cancel a job", response_model=schemas.Job, responses=errors(404, 409))
def cancel_job(job_id: Word, ctx: InContext) -> Any:
    """Take a queued job out of the queue, or stop a running one."""
    return jobs.cancel_job(ctx, job_id)


@router.post("/{job_id}/retry", summary="Try a job again", response_model=schemas.Job, responses=errors(404, 409))
def retry_job(job_id: Word, ctx: InContext) -> Any:
    """Queue a failed or cancelled job once more; it resumes from its last checkpoint."""
    return jobs.retry_job(ctx, job_id)


@router.get("/{job_id}/log", summary="Read a job's log", response_model=schemas.JobLog, responses=errors(404))
def job_log(job_id: Word, ctx: InContext) -> Any:
    """The log of all attempts."""
    return {"id": job_id, "log": jobs.job_log(ctx, job_id)}
