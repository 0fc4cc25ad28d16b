"""Explanations over whole image sets: started, followed, cancelled, gone on with, and read as tables."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from app.api import explanation_batch_schemas as shapes
from app.api.common import RESEARCH_HEADER, InContext, InPages, binary, errors, research_use
from app.api.schemas import DISCLAIMER, Deleted
from app.api.values import Word
from app.services import explanation_batches as batches

router = APIRouter(prefix="/explanation-batches", tags=["explanation batches"], dependencies=[Depends(research_use)])


@router.get("", summary="List batches", response_model=shapes.ExplanationBatchList, responses=errors())
def list_batches(ctx: InContext, pages: InPages) -> Any:
    """Batches in short, newest first."""
    items, total = batches.list_batches(ctx, pages.limit, pages.offset)
    return pages.page(items, total)


@router.post(
    "",
    summary="Measure conditions on an image set",
    status_code=202,
    response_model=shapes.ExplanationBatch,
    responses=errors(404, 422),
)
def start(body: shapes.NewExplanationBatch, ctx: InContext) -> Any:
    """Queue a job that runs the image tower under each condition on each image and sums up paired differences."""
    given = body.model_dump() | {
        "models": tuple(body.models),
        "conditions": tuple(body.conditions),
        "vectors": tuple(body.vectors),
    }
    return batches.start(ctx, batches.BatchWish(**given))


@router.get("/conditions", summary="List conditions", response_model=shapes.ConditionList, responses=errors())
def list_conditions(ctx: InContext, pages: InPages) -> Any:
    """What an image set can be measured under."""
    return pages.cut(batches.conditions(ctx))


@router.get("/{batch_id}", summary="Show a batch", response_model=shapes.ExplanationBatch, responses=errors(404))
def get_batch(batch_id: Word, ctx: InContext) -> Any:
    """What was asked, how far it is, and the summaries of each model once all its images are measured."""
    return batches.get(ctx, batch_id)


@router.get(
    "/{batch_id}/rows", summary="List rows of a batch", response_model=shapes.BatchRowList, responses=errors(404)
)
def list_rows(
    batch_id: Word,
    ctx: InContext,
    pages: InPages,
    model: Annotated[int | None, Query(ge=0, le=1, description="Only of the model at this position.")] = None,
    condition: Annotated[Word | None, Query(description='Only of this key, such as "C1:4".')] = None,
) -> Any:
    """One row an image and condition, also while the job runs."""
    items, total = batches.list_rows(ctx, batch_id, model, condition, pages.limit, pages.offset)
    return pages.page(items, total)


@router.get(
    "/{batch_id}/tables/{kind}",
    summary="Download a table of a batch",
    response_class=Response,
    responses=errors(404) | binary("The table.", "text/csv"),
)
def get_table(batch_id: Word, kind: Word, ctx: InContext) -> Any:
    """`summaries` (one row a condition) or `rows` (one row an image and condition) as CSV."""
    text = batches.table(ctx, batch_id, kind)
    headers = {
        "Content-Disposition": f'attachment; filename="explanation-batch-{kind}.csv"',
        "Cache-Control": "no-store",
        RESEARCH_HEADER: DISCLAIMER,
    }
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post(
    "/{batch_id}/cancel", summary="Cancel a batch", response_model=shapes.ExplanationBatch, responses=errors(404, 409)
)
def cancel(batch_id: Word, ctx: InContext) -> Any:
    """Stop it. What is measured stays."""
    return batches.cancel(ctx, batch_id)


@router.post(
    "/{batch_id}/resume",
    summary="Go on with a batch",
    status_code=202,
    response_model=shapes.ExplanationBatch,
    responses=errors(404, 409),
)
def resume(batch_id: Word, ctx: InContext) -> Any:
    """Queue a cancelled or failed batch again. What is measured is not measured anew."""
    return batches.resume(ctx, batch_id)


@router.delete("/{batch_id}", summary="Delete a batch", response_model=Deleted, responses=errors(404, 409))
def delete_batch(batch_id: Word, ctx: InContext) -> Any:
    """Delete a batch with its rows and its job. 409 while the job is queued or running."""
    return batches.delete(ctx, batch_id)
