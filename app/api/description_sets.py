"""Description sets: the sentences about each class, in versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api import schemas
from app.api.common import InContext, InPages, errors
from app.api.values import Count, Line, Sentence, Word
from app.services import descriptions
from app.services import packs as built_in
from core.descriptions.layouts.catalogue import layouts

router = APIRouter(prefix="/description-sets", tags=["description sets"])


@router.get("", summary="List description sets", response_model=schemas.DescriptionSetList, responses=errors(404))
def list_description_sets(
    ctx: InContext,
    pages: InPages,
    image_set: Annotated[Word | None, Query(description="Only those of this image set (id or name).")] = None,
) -> Any:
    """Description sets in short, by name."""
    items = descriptions.list_description_sets(ctx, image_set, pages.limit, pages.offset)
    return pages.page(items, descriptions.count_description_sets(ctx, image_set))


@router.post(
    "",
    summary="Save a version of descriptions",
    status_code=201,
    response_model=schemas.DescriptionSet,
    responses=errors(404, 409, 422),
)
def save_version(body: schemas.NewDescriptionVersion, ctx: InContext) -> Any:
    """Save sentences as a new version under a name; the first one makes the set. Older versions stay."""
    return descriptions.save_version(ctx, **body.model_dump())


@router.post("/check", summary="Check descriptions", response_model=schemas.FindingList, responses=errors(404, 422))
def check(body: schemas.DescriptionsToCheck, ctx: InContext, pages: InPages) -> Any:
    """Findings in the sentences: duplicates, what no picture can show, missing class names, too long ones."""
    return pages.cut(descriptions.check(ctx, str(body.id), body.version))


@router.get(
    "/preview",
    summary="Preview template sentences",
    response_model=schemas.Sentences,
    responses=errors(404, 422),
)
def preview(
    ctx: InContext,
    image_set: Annotated[Word, Query(description="Id or name of an image set.")],
    modality: Line | None = None,
    template: Annotated[Sentence | None, Query(description="A sentence with {} for the class.")] = None,
) -> Any:
    """The sentences a method gets when no descriptions are given."""
    return {"sentences": descriptions.template_preview(ctx, image_set, modality, template)}


@router.get(
    "/packs",
    summary="List built-in packs",
    response_model=schemas.DescriptionPackList,
    responses=errors(404),
)
def list_packs(
    ctx: InContext,
    pages: InPages,
    image_set: Annotated[
        Word | None, Query(description="Only packs that describe every class of this image set (id or name).")
    ] = None,
) -> Any:
    """Sentences that come with the product: drafted by a language model, not reviewed by a clinician."""
    return pages.cut(built_in.list_packs() if image_set is None else built_in.fitting_packs(ctx, image_set))


@router.get(
    "/packs/{name}",
    summary="Show a built-in pack",
    response_model=schemas.DescriptionPackSentences,
    responses=errors(404, 422),
)
def get_pack(
    name: Word,
    ctx: InContext,
    image_set: Annotated[
        Word | None, Query(description="Give the sentences under the class names of this image set.")
    ] = None,
) -> Any:
    """A pack's sentences, ready to be saved as a version of a description set."""
    return built_in.pack_sentences(ctx, name, image_set)


@router.get(
    "/layouts", summary="List layouts of files", response_model=schemas.DescriptionLayoutList, responses=errors()
)
def list_layouts(pages: InPages) -> Any:
    """Layouts in which sentences are read and written: plain ones, and those of public repositories."""
    return pages.cut([{"name": each.name, "title": each.title, "suffix": each.suffix} for each in layouts().values()])


@router.get(
    "/{description_set_id}",
    summary="Show a description set",
    response_model=schemas.DescriptionSet,
    responses=errors(404, 422),
)
def get_description_set(
    description_set_id: Word,
    ctx: InContext,
    version: Annotated[Count | None, Query(description="A saved version; without it the newest.")] = None,
) -> Any:
    """The sentences of one version."""
    return descriptions.get_description_set(ctx, description_set_id, version)


@router.get(
    "/{description_set_id}/versions",
    summary="List versions of a description set",
    response_model=schemas.DescriptionVersionList,
    responses=errors(404),
)
def list_versions(description_set_id: Word, ctx: InContext, pages: InPages) -> Any:
    """Who saved which version when."""
    return pages.cut(descriptions.get_description_set(ctx, description_set_id)["versions"])


@router.delete(
    "/{description_set_id}",
    summary="Delete a description set",
    response_model=schemas.Deleted,
    responses=errors(404, 409),
)
def delete_description_set(description_set_id: Word, ctx: InContext) -> Any:
    """Delete a set with all its versions. 409 while runs were made with one of them; the answer names them."""
    return descriptions.delete_description_set(ctx, description_set_id)
