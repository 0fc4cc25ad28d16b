"""Versions of a description set, agreement of those who reviewed it, and sentences planted to be noticed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api import description_schemas as shapes
from app.api.common import InContext, errors
from app.api.values import Count, Line, Word
from app.services import description_agreement
from app.services import description_versions as versions
from app.services.context import ACTOR

router = APIRouter(prefix="/description-sets/{description_set_id}", tags=["description review"])
VERSION = r"^(now|[1-9]\d{0,8})$"


@router.post(
    "/versions",
    summary="Save or sign a version",
    status_code=201,
    response_model=shapes.SavedVersion,
    responses=errors(404, 409, 422),
)
def save_version(description_set_id: Word, body: shapes.NewVersion, ctx: InContext) -> Any:
    """Freeze the sentences as they stand: all but rejected ones; signed: approved ones alone, with who vouches."""
    return versions.save_reviewed_version(ctx, description_set_id, body.actor, body.note, body.sign)


@router.get(
    "/versions/{version}", summary="Show a version", response_model=shapes.VersionInFull, responses=errors(404, 422)
)
def read_version(description_set_id: Word, version: Count, ctx: InContext) -> Any:
    """The sentences of a version as they stood then, and the runs that were trained on it."""
    return versions.read_version(ctx, description_set_id, version)


@router.get("/diff", summary="Compare versions", response_model=shapes.VersionDiff, responses=errors(404, 422))
def compare_versions(
    description_set_id: Word,
    ctx: InContext,
    before: Annotated[str, Query(alias="from", pattern=VERSION, description='A version, or "now".')],
    after: Annotated[str, Query(alias="to", pattern=VERSION, description='A version, or "now".')] = versions.NOW,
) -> Any:
    """Sentences added, removed and edited, and states that changed."""
    return versions.compare_versions(ctx, description_set_id, before, after)


@router.get("/agreement", summary="Show agreement of readers", response_model=shapes.Agreement, responses=errors(404))
def agreement(description_set_id: Word, ctx: InContext) -> Any:
    """Percent, Cohen's kappa and Gwet's AC1 of each two readers, also by class; Krippendorff's alpha of several."""
    return description_agreement.agreement_of(ctx, description_set_id)


@router.post(
    "/plant",
    summary="Plant wrong sentences",
    status_code=201,
    response_model=shapes.Planting,
    responses=errors(404, 409, 422),
)
def plant(description_set_id: Word, body: shapes.NewPlanting, ctx: InContext) -> Any:
    """Put sentences that are wrong on purpose among the others: no list tells them apart, no version holds them."""
    return versions.plant_sentences(ctx, description_set_id, body.actor, body.n, body.seed)


@router.delete(
    "/plant", summary="Take planted sentences out", response_model=shapes.Planting, responses=errors(404, 409)
)
def unplant(
    description_set_id: Word,
    ctx: InContext,
    actor: Annotated[Line, Query(min_length=1, description="Who takes them out.")] = ACTOR,
) -> Any:
    """Take all planted sentences out. What readers decided about them stays counted as caught or not."""
    return versions.take_planted_out(ctx, description_set_id, actor)
