"""Published results: numbers that others have printed, to stand beside ours."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api import published_schemas as shapes
from app.api import schemas
from app.api.common import InContext, InPages, errors
from app.api.values import Line, Word
from app.services import published

router = APIRouter(prefix="/published-results", tags=["experiments"])


@router.get("", summary="List published numbers", response_model=shapes.PublishedResultList, responses=errors())
def list_published_results(
    ctx: InContext,
    pages: InPages,
    method: Annotated[Word | None, Query(description="Only those of one method.")] = None,
    data_set: Annotated[
        Line | None, Query(description="Only those on one data set, as its publication names it.")
    ] = None,
) -> Any:
    """Published numbers by method and data set."""
    items = published.list_results(ctx, method, data_set, pages.limit, pages.offset)
    return pages.page(items, published.count_results(ctx, method, data_set))


@router.post(
    "",
    summary="Keep published numbers",
    status_code=201,
    response_model=shapes.PublishedImport,
    responses=errors(409, 422),
)
def add_published_results(body: shapes.PublishedFile | shapes.NewPublishedResults, ctx: InContext) -> Any:
    """Keep numbers from the text of a CSV or TOML file, or given one by one; all of them or none.

    422 names every one that cannot be used. 409: another value of a number is kept already.
    """
    if isinstance(body, shapes.PublishedFile):
        return published.import_text(ctx, body.text, body.name)
    return published.add_results(ctx, [row.model_dump(exclude_none=True) for row in body.results])


@router.post(
    "/shipped",
    summary="Keep the published numbers that come with Promptoscope",
    status_code=201,
    response_model=shapes.PublishedImport,
    responses=errors(409),
)
def add_shipped_results(ctx: InContext) -> Any:
    """Keep the few that could be read at their source; those that are known stay as they are."""
    return published.import_shipped(ctx)


@router.post(
    "/{published_id}/match",
    summary="Tie a published number to an image set",
    response_model=shapes.PublishedResult,
    responses=errors(404, 422),
)
def match_published_result(published_id: Word, body: shapes.PublishedMatch, ctx: InContext) -> Any:
    """Say that it is of an image set here: of exactly its test part, or, with `n_test`, of another one."""
    return published.match(ctx, published_id, str(body.image_set), body.n_test)


@router.delete(
    "/{published_id}",
    summary="Delete a published number",
    response_model=schemas.Deleted,
    responses=errors(404),
)
def delete_published_result(published_id: Word, ctx: InContext) -> Any:
    """Forget it."""
    return published.delete(ctx, published_id)
