"""Head by head: sinks of an explained image, and maps for every number of zero vectors, made when first asked for."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse

from app.api.common import InContext, binary, errors, file_answer, research_use
from app.api.schemas import Answer
from app.api.values import Word
from app.services import explanation_heads as heads

router = APIRouter(prefix="/explanations", tags=["explanations"], dependencies=[Depends(research_use)])


class Sinks(Answer):
    """On which tokens heads gather their attention, and what they write from there.

    A head's `label` is "NOP-like", "broadcast-like", "mixed" or null; `meanings` states their thresholds.
    """

    heads: list[dict[str, Any]]
    layers: list[dict[str, Any]]
    summary: dict[str, Any]
    meanings: dict[str, str]


@router.get("/{explanation_id}/sinks", summary="Show attention sinks", response_model=Sinks, responses=errors(404))
async def get_sinks(explanation_id: Word, request: Request, ctx: InContext) -> Any:
    """Sink measures of each layer and head in the model's own pass, and the caption. Computed once."""
    return await ctx.lines.models.do(request.receive, heads.sinks, ctx, explanation_id, key=("sinks", explanation_id))


@router.get(
    "/{explanation_id}/heads/{mode}",
    summary="Get maps of every head",
    response_class=FileResponse,
    responses={**errors(404), **binary("Arrays: counts, attention, vectors, class_token.", "application/zip")},
)
async def get_heads(explanation_id: Word, mode: Literal["insert", "replace"], request: Request, ctx: InContext) -> Any:
    """The class token's attention by layer and head for 0 to 16 zero vectors, as a NumPy .npz file. Computed once."""
    key = ("heads", explanation_id, mode)
    path = await ctx.lines.models.do(request.receive, heads.head_maps_file, ctx, explanation_id, mode, key=key)
    return file_answer(path, "application/zip", f"explanation-{explanation_id}-heads-{mode}.npz", results=True)
