"""Experiments: many trainings planned as one comparison, watched, and put together as rows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from app.api import schemas
from app.api.common import InContext, InPages, errors, research_use
from app.api.values import LARGEST_COUNT, Count, Line, Word
from app.services import experiment_estimate, experiment_results, experiments

router = APIRouter(prefix="/experiments", tags=["experiments"], dependencies=[Depends(research_use)])
State = Literal["waiting", "running", "done", "failed"]
Given = schemas.ExperimentFile | schemas.NewExperiment


def values_of(body: Given) -> dict[str, Any] | str:
    """What the service takes: the text of a file, or the values that were given."""
    if isinstance(body, schemas.ExperimentFile):
        return body.toml
    return body.model_dump(exclude={"start"}, exclude_none=True)


@router.get("", summary="List experiments", response_model=schemas.ExperimentList, responses=errors(422))
def list_experiments(ctx: InContext, pages: InPages) -> Any:
    """Experiments in short, newest first."""
    found = experiments.list_experiments(ctx, pages.limit, pages.offset)
    return pages.page(found, experiments.count_experiments(ctx))


@router.post(
    "",
    summary="Plan an experiment",
    status_code=201,
    response_model=schemas.Experiment,
    responses=errors(404, 409, 422),
)
def create(body: Given, ctx: InContext) -> Any:
    """Record an experiment with all its cells and queue it, from values or from the text of a TOML file.

    Images, methods, options and wordings are checked at once; if one cannot be used nothing is recorded.
    """
    made = experiments.create(ctx, values_of(body))
    if body.start:
        experiments.submit(ctx, made["id"])
    return experiment_results.progress(ctx, made["id"])


@router.post(
    "/estimate",
    summary="Estimate an experiment",
    response_model=schemas.ExperimentEstimate,
    responses=errors(404, 422),
)
def estimate(
    body: Given,
    ctx: InContext,
    measure: Annotated[
        bool, Query(description="Have methods that were never run here timed in the background: ask again for them.")
    ] = False,
) -> Any:
    """How many cells it would have, and roughly what they would take. Records nothing."""
    return experiment_estimate.estimate(ctx, values_of(body), measure=measure)


@router.post(
    "/file",
    summary="Write an experiment as a file",
    response_model=schemas.ExperimentText,
    responses=errors(422),
)
def write_file(body: Given) -> Any:
    """The text of the TOML file with these values, defaults written out. Looks for no image set and records nothing."""
    return experiment_results.file_of(values_of(body))


@router.get(
    "/{experiment_id}",
    summary="Show an experiment",
    response_model=schemas.Experiment,
    responses=errors(404),
)
async def get_experiment(
    experiment_id: Word,
    request: Request,
    ctx: InContext,
    rows: Annotated[bool, Query(description="With the rows of what is finished; without them, with states.")] = True,
) -> Any:
    """An experiment by id or name: how far it is, and the rows that its finished cells make."""
    work = experiment_results.show if rows else experiment_results.progress
    key = ("experiment", experiment_id, rows)
    return await ctx.lines.comparisons.do(request.receive, work, ctx, experiment_id, key=key)


@router.get(
    "/{experiment_id}/cells",
    summary="List the cells of an experiment",
    response_model=schemas.ExperimentCellList,
    responses=errors(404),
)
def list_cells(
    experiment_id: Word,
    ctx: InContext,
    pages: InPages,
    state: Annotated[State | None, Query(description="Only cells in this state.")] = None,
) -> Any:
    """Cells in order: what each is, its state, its run and numbers, or why it failed."""
    counts = experiments.get(ctx, experiment_id)["cells"]
    found = experiments.list_cells(ctx, experiment_id, pages.limit, pages.offset, state)
    return pages.page(found, counts[state] if state else sum(counts.values()))


@router.get(
    "/{experiment_id}/matrix",
    summary="Compare the lines of an experiment in pairs",
    response_model=schemas.PairMatrix,
    responses=errors(404, 422),
)
async def pair_matrix(
    experiment_id: Word,
    request: Request,
    ctx: InContext,
    image_set: Annotated[Line | None, Query(description="By name; without it the mean over all sets.")] = None,
    shots: Annotated[Count | Literal["all"], Query(description='Per class, or "all".')] = "all",
    share: Annotated[float | None, Query(gt=0, le=1, description="Of the labels, for the protocol full.")] = None,
) -> Any:
    """Each line against each other at one place: difference, interval, p after Holm, wins, ties and losses."""
    amount = None if shots == "all" else shots
    key = ("matrix", experiment_id, image_set, amount, share)
    work = experiment_results.matrix
    return await ctx.lines.comparisons.do(request.receive, work, ctx, experiment_id, image_set, amount, share, key=key)


@router.get(
    "/{experiment_id}/file",
    summary="Read an experiment as a file",
    response_model=schemas.ExperimentText,
    responses=errors(404),
)
def experiment_file(experiment_id: Word, ctx: InContext) -> Any:
    """The text of the TOML file that gives this experiment again, here or elsewhere."""
    name = experiments.get(ctx, experiment_id)["name"]
    return {"name": name, "toml": experiment_results.file_text(ctx, experiment_id)}


@router.post(
    "/{experiment_id}/start",
    summary="Start or resume an experiment",
    status_code=202,
    response_model=schemas.Experiment,
    responses=errors(404, 409),
)
def start(experiment_id: Word, ctx: InContext) -> Any:
    """Queue the cells that wait. What is finished is not computed again."""
    experiments.submit(ctx, experiment_id)
    return experiment_results.progress(ctx, experiment_id)


@router.post(
    "/{experiment_id}/cancel",
    summary="Cancel an experiment",
    response_model=schemas.Experiment,
    responses=errors(404, 409),
)
def cancel(experiment_id: Word, ctx: InContext) -> Any:
    """Stop it. Finished cells stay, the others wait until it is started again."""
    experiments.cancel(ctx, experiment_id)
    return experiment_results.progress(ctx, experiment_id)


@router.post(
    "/{experiment_id}/retry",
    summary="Try failed cells again",
    status_code=202,
    response_model=schemas.Experiment,
    responses=errors(404, 409),
)
def retry(
    experiment_id: Word,
    ctx: InContext,
    cell: Annotated[
        int | None, Query(ge=0, le=LARGEST_COUNT, description="Only the failed cell of this position.")
    ] = None,
) -> Any:
    """Queue the cells that failed, or one of them, and no others."""
    experiments.retry(ctx, experiment_id, cell)
    return experiment_results.progress(ctx, experiment_id)


@router.delete(
    "/{experiment_id}",
    summary="Delete an experiment",
    response_model=schemas.Deleted,
    responses=errors(404, 409),
)
def delete_experiment(
    experiment_id: Word,
    ctx: InContext,
    runs: Annotated[
        bool, Query(description="Its runs and models too, as far as no other experiment has them.")
    ] = False,
) -> Any:
    """Delete an experiment. Its runs and models stay unless asked for. 409 while its job is queued or running."""
    return experiments.delete(ctx, experiment_id, with_runs=runs)
