"""Sentences of a description set in files, and in the words of a paper's methods section."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from app.api import description_schemas as shapes
from app.api.common import InContext, binary, errors
from app.api.description_versions import VERSION
from app.api.values import Word
from app.services import description_files, description_methods
from app.services.description_versions import NOW
from core.descriptions.layouts.catalogue import layouts

router = APIRouter(prefix="/description-sets/{description_set_id}", tags=["description review"])


@router.post(
    "/import",
    summary="Import sentences",
    status_code=201,
    response_model=shapes.Imported,
    responses=errors(404, 409, 413, 422),
)
def import_text(description_set_id: Word, body: shapes.FileToImport, ctx: InContext) -> Any:
    """Add the sentences of a file as drafts, in one action that can be undone; what the set has already is left out.

    Layouts of public repositories are read as data and never run.
    """
    return description_files.import_text(ctx, description_set_id, body.text, body.name, body.layout, body.actor)


@router.post(
    "/packs/{name}",
    summary="Add a built-in pack",
    status_code=201,
    response_model=shapes.Added,
    responses=errors(404, 409, 422),
)
def add_pack(description_set_id: Word, name: Word, body: shapes.PackToAdd, ctx: InContext) -> Any:
    """Add a pack's sentences as drafts, in one action that can be undone; what the set has already is left out."""
    return description_files.add_pack(ctx, description_set_id, name, body.actor)


@router.get(
    "/export",
    summary="Export sentences",
    response_class=Response,
    responses=errors(404, 422) | binary("The sentences.", "application/octet-stream", "text/csv", "text/x-python"),
)
def export(
    description_set_id: Word,
    ctx: InContext,
    layout: Annotated[Word, Query(description=f"One of {', '.join(layouts())}.")] = "json",
    version: Annotated[str, Query(pattern=VERSION, description='A version, or "now".')] = NOW,
) -> Response:
    """A version, or the sentences as they stand, as a file that `import` reads. CSV says state, author, reason too."""
    number = None if version == NOW else int(version)
    made = description_files.export_text(ctx, description_set_id, layout, number)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(made.name)}", "Cache-Control": "no-store"}
    return Response(made.text, media_type=f"{made.media_type}; charset=utf-8", headers=headers)


@router.get(
    "/methods-section", summary="Write a methods section", response_model=shapes.MethodsSection, responses=errors(404)
)
def methods_section(description_set_id: Word, ctx: InContext) -> Any:
    """How the sentences were written and reviewed, for a paper; what is not known is named."""
    return {"text": description_methods.methods_text(ctx, description_set_id)}
