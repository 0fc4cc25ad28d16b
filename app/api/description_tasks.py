"""Tasks about description sets: sentences written by a language model, evidence from images; both watched."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api import description_task_schemas as shapes
from app.api.common import InContext, InPages, binary, errors, research_use
from app.api.values import Word
from app.services import description_evidence
from app.services import description_tasks as tasks
from app.services import description_writing as writing

router = APIRouter(prefix="/description-sets", tags=["description tasks"])


def wish_of(body: shapes.WritingWish) -> writing.Wish:
    """What the service takes."""
    return writing.Wish(**body.model_dump())


@router.get("/prompts", summary="List prompts", response_model=shapes.PromptList, responses=errors())
def list_prompts(ctx: InContext, pages: InPages) -> Any:
    """What a language model can be asked, as files that can be changed in the home folder."""
    return pages.cut(writing.prompts(ctx))


@router.post(
    "/{description_set_id}/writing/preview",
    summary="Preview what is sent to a language model",
    response_model=shapes.WritingPreview,
    responses=errors(404, 422),
)
async def preview(description_set_id: Word, body: shapes.WritingWish, request: Request, ctx: InContext) -> Any:
    """The messages about each class, word for word, and what they would take. Sends and records nothing."""
    return await ctx.lines.models.do(request.receive, _preview, ctx, description_set_id, wish_of(body))


@router.post(
    "/{description_set_id}/writing",
    summary="Have sentences written",
    status_code=202,
    response_model=shapes.DescriptionTask,
    responses=errors(404, 409, 422),
)
async def start(description_set_id: Word, body: shapes.NewWriting, request: Request, ctx: InContext) -> Any:
    """Queue a job that asks the language model about each class. What it writes are drafts, for people to review."""
    return await ctx.lines.models.do(request.receive, _start, ctx, description_set_id, wish_of(body))


@router.post(
    "/{description_set_id}/evidence",
    summary="Weigh sentences on images",
    status_code=202,
    response_model=shapes.DescriptionTask,
    responses=errors(404, 422),
    dependencies=[Depends(research_use)],
)
def weigh(description_set_id: Word, body: shapes.EvidenceWish, ctx: InContext) -> Any:
    """Queue a job that weighs each sentence on training images, never on test images, beside the set's controls."""
    return tasks.start_evidence(ctx, description_set_id, tasks.EvidenceWish(**body.model_dump()))


@router.get(
    "/{description_set_id}/tasks",
    summary="List tasks of a description set",
    response_model=shapes.DescriptionTaskList,
    responses=errors(404, 422),
)
def list_tasks(
    description_set_id: Word,
    ctx: InContext,
    pages: InPages,
    kind: Annotated[shapes.Kind | None, Query(description="Only tasks of this kind.")] = None,
) -> Any:
    """Tasks, newest first, with their progress."""
    items, total = tasks.list_tasks(ctx, description_set_id, kind, pages.limit, pages.offset)
    return pages.page(items, total)


@router.get(
    "/{description_set_id}/tasks/{task_id}",
    summary="Show a task of a description set",
    response_model=shapes.DescriptionTask,
    responses=errors(404),
)
def get_task(description_set_id: Word, task_id: Word, ctx: InContext) -> Any:
    """What was asked for, how far it is, and its result."""
    return tasks.get_task(ctx, description_set_id, task_id)


@router.get(
    "/{description_set_id}/tasks/{task_id}/report",
    summary="Download a report of evidence",
    response_class=Response,
    responses=errors(404, 409) | binary("The report, with small copies of training images.", "text/html"),
    dependencies=[Depends(research_use)],
)
async def report(description_set_id: Word, task_id: Word, request: Request, ctx: InContext) -> Any:
    """One HTML file with tables, drawings, and the nearest and farthest images of each sentence."""
    work = description_evidence.task_report
    name, text = await ctx.lines.sentences.do(request.receive, work, ctx, description_set_id, task_id)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Cache-Control": "no-store"}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


@router.get(
    "/{description_set_id}/tasks/{task_id}/parts",
    summary="List the parts of a task",
    response_model=shapes.TaskPartList,
    responses=errors(404, 422),
)
def list_parts(
    description_set_id: Word,
    task_id: Word,
    ctx: InContext,
    pages: InPages,
    state: Annotated[shapes.PartState | None, Query(description="Only parts in this state.")] = None,
) -> Any:
    """What was sent about each class, what came back, and what was left out of it and why."""
    items, total = tasks.list_parts(ctx, description_set_id, task_id, pages.limit, pages.offset, state)
    return pages.page(items, total)


def _preview(ctx: InContext, set_id: str, wish: writing.Wish) -> dict[str, Any]:
    return writing.preview(ctx, writing.target_of_set(ctx, set_id), wish)


def _start(ctx: InContext, set_id: str, wish: writing.Wish) -> dict[str, Any]:
    return writing.start(ctx, writing.target_of_set(ctx, set_id), wish)
