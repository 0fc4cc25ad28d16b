"""Runs and models: what trainings gave."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from app.api import schemas
from app.api.common import InContext, InPages, binary, errors, file_answer, research_use
from app.api.values import Line, Word
from app.services import answers, models, runs

router = APIRouter(dependencies=[Depends(research_use)])


@router.get("/runs", tags=["runs"], summary="List runs", response_model=schemas.RunList, responses=errors(404))
def list_runs(
    ctx: InContext,
    pages: InPages,
    image_set: Annotated[Word | None, Query(description="Only runs on this image set (id or name).")] = None,
) -> Any:
    """Runs in short, newest first."""
    return pages.page(runs.list_runs(ctx, image_set, pages.limit, pages.offset), runs.count_runs(ctx, image_set))


@router.get(
    "/runs/comparison",
    tags=["runs"],
    summary="Compare runs",
    response_model=schemas.Comparison,
    responses=errors(404, 422),
)
async def compare(
    request: Request,
    ctx: InContext,
    image_set: Annotated[Word | None, Query(description="Only runs on this image set (id or name).")] = None,
    run: Annotated[list[Word] | None, Query(max_length=500, description="Only these runs.")] = None,
    tested: Annotated[
        bool, Query(description="Whether with what needs the answers to single images: it takes longest.")
    ] = True,
) -> Any:
    """Finished runs side by side, grouped so that only like is compared with like."""
    key = ("compare", image_set, tuple(run or ()), tested)
    return await ctx.lines.comparisons.do(request.receive, runs.compare, ctx, image_set, run, tested, key=key)


Asked = Annotated[list[Word], Query(min_length=1, max_length=100, description="Runs, by id; may be given again.")]
Part = Annotated[Word | None, Query(description="One they were all measured on; by default the ranked one.")]


@router.get(
    "/runs/summary",
    tags=["runs"],
    summary="Count the answers of runs",
    response_model=schemas.RunSummary,
    responses=errors(404, 422),
)
async def summary(request: Request, ctx: InContext, run: Asked, part: Part = None) -> Any:
    """Confusion matrix, numbers of each class and reliability of several runs on one part, counted together."""
    key = ("summary", tuple(run), part)
    return await ctx.lines.comparisons.do(request.receive, answers.summary, ctx, run, part, key=key)


@router.get(
    "/runs/predictions",
    tags=["runs"],
    summary="List the images behind a count",
    response_model=schemas.AnsweredImageList,
    responses=errors(404, 422),
)
def list_predictions(
    ctx: InContext,
    pages: InPages,
    run: Asked,
    label: Annotated[Line, Query(description="The true class.")],
    predicted: Annotated[Line, Query(description="What the runs called it.")],
    part: Part = None,
) -> Any:
    """Images of one class that runs called another, or the same, those that most of them did first."""
    found = answers.list_images(ctx, run, label, predicted, part, pages.limit, pages.offset)
    return pages.page(found, answers.count_images(ctx, run, label, predicted, part))


@router.get("/runs/{run_id}", tags=["runs"], summary="Show a run", response_model=schemas.Run, responses=errors(404))
def get_run(run_id: Word, ctx: InContext) -> Any:
    """One run with its options, metrics, confusion matrix and epochs."""
    return runs.get_run(ctx, run_id)


@router.get(
    "/runs/{run_id}/epoch-metrics",
    tags=["runs"],
    summary="List a run's epochs",
    response_model=schemas.EpochMetricList,
    responses=errors(404),
)
def list_epoch_metrics(run_id: Word, ctx: InContext, pages: InPages) -> Any:
    """Loss and learning rate of every epoch so far."""
    items = runs.list_epoch_metrics(ctx, run_id, pages.limit, pages.offset)
    return pages.page(items, runs.count_epochs(ctx, run_id))


@router.delete(
    "/runs/{run_id}",
    tags=["runs"],
    summary="Delete a run",
    response_model=schemas.Deleted,
    responses=errors(404, 409),
)
def delete_run(run_id: Word, ctx: InContext) -> Any:
    """Delete a run with its numbers, model, explanations and job. 409 while its job is queued or running."""
    return runs.delete_run(ctx, run_id)


@router.get("/models", tags=["models"], summary="List models", response_model=schemas.ModelList, responses=errors())
def list_models(ctx: InContext, pages: InPages) -> Any:
    """Trained models, newest first."""
    return pages.page(models.list_models(ctx, pages.limit, pages.offset), models.count_models(ctx))


@router.get(
    "/models/{model_id}",
    tags=["models"],
    summary="Show a model",
    response_model=schemas.Model,
    responses=errors(404),
)
def get_model(model_id: Word, ctx: InContext) -> Any:
    """A model and the data it was made from."""
    return models.get_model(ctx, model_id)


@router.delete(
    "/models/{model_id}",
    tags=["models"],
    summary="Delete a model",
    response_model=schemas.Deleted,
    responses=errors(404, 409),
)
def delete_model(model_id: Word, ctx: InContext) -> Any:
    """Delete a model's files and explanations. Its run and numbers stay."""
    return models.delete_model(ctx, model_id)


@router.get(
    "/models/{model_id}/download",
    tags=["models"],
    summary="Download a model",
    response_class=FileResponse,
    responses={**errors(404), **binary("The model folder as a zip", "application/zip")},
)
def download_model(model_id: Word, ctx: InContext) -> Any:
    """The model folder (adapter_config.json, adapter_model.safetensors, model card) as a zip."""
    archive = models.archive_model(ctx, model_id)
    answer = file_answer(archive, "application/zip", f"model-{model_id}.zip", download=True, results=True)
    answer.background = BackgroundTask(archive.unlink, missing_ok=True)
    return answer
