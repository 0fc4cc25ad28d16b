"""Classifications and explanations: models used on images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response

from app.api import schemas
from app.api.common import InContext, InPages, binary, errors, file_answer, form_body, research_use, text_answer
from app.api.upload import received_form
from app.api.values import Word
from app.services import classification, explanation

router = APIRouter(dependencies=[Depends(research_use)])
MAP_TYPES = ("image/png", "image/svg+xml", "application/zip")


@router.get(
    "/classifications",
    tags=["classifications"],
    summary="List classifications",
    response_model=schemas.ClassificationList,
    responses=errors(),
)
def list_classifications(ctx: InContext, pages: InPages) -> Any:
    """Classifications in short, newest first."""
    items = classification.list_classifications(ctx, None, pages.limit, pages.offset)
    return pages.page(items, classification.count_classifications(ctx))


@router.post(
    "/classifications",
    tags=["classifications"],
    summary="Classify images",
    status_code=201,
    response_model=schemas.Classification,
    responses=errors(404, 413, 422),
    openapi_extra=form_body({"model_id": "The model to use."}, ["model_id"]),
)
async def classify(request: Request, ctx: InContext) -> Any:
    """Classify new images with a trained model.

    Files are images or zips of images without class folders. Unreadable ones are listed in `problems`, the others
    are classified; if none is readable the answer is 422. Requests are worked on one after the other; 503 with
    `Retry-After` says that too many wait already.
    """
    async with received_form(request, ctx.uploads_dir) as form:
        model_id = form.required("model_id", "the id of a trained model")
        return await ctx.lines.models.do(request.receive, classification.classify, ctx, model_id, form.streams())


@router.get(
    "/classifications/{classification_id}",
    tags=["classifications"],
    summary="Show a classification",
    response_model=schemas.Classification,
    responses=errors(404),
)
def get_classification(classification_id: Word, ctx: InContext) -> Any:
    """The answers of one classification."""
    return classification.get_classification(ctx, classification_id)


@router.delete(
    "/classifications/{classification_id}",
    tags=["classifications"],
    summary="Delete a classification",
    response_model=schemas.Deleted,
    responses=errors(404),
)
def delete_classification(classification_id: Word, ctx: InContext) -> Any:
    """Delete a classification, the images sent with it and their explanations."""
    return classification.delete_classification(ctx, classification_id)


@router.get(
    "/explanations",
    tags=["explanations"],
    summary="List explanations",
    response_model=schemas.ExplanationList,
    responses=errors(),
)
def list_explanations(
    ctx: InContext,
    pages: InPages,
    model: Annotated[Word | None, Query(description="Only those of this model.")] = None,
    image: Annotated[Word | None, Query(description="Only those of this image.")] = None,
) -> Any:
    """Explanations in short, newest first."""
    items = explanation.list_explanations(ctx, model, image, pages.limit, pages.offset)
    return pages.page(items, explanation.count_explanations(ctx, model, image))


@router.post(
    "/explanations",
    tags=["explanations"],
    summary="Explain a prediction",
    status_code=201,
    response_model=schemas.Explanation,
    responses=errors(404, 422),
)
async def explain(body: schemas.NewExplanation, request: Request, ctx: InContext) -> Any:
    """Compute where a model looks in a stored image, for one class or the predicted one: maps and attention.

    What takes longer is named in `pending` and asked for by its own address. The same question asked again is answered
    from the record. Explanations are computed one after the other. Equal requests at the same time share one; 503 with
    `Retry-After` says that too many wait already. One whose asker goes away is dropped.
    """
    region = None if body.region_id is None else str(body.region_id)
    asked = (str(body.model_id), str(body.image_id), body.class_name, region)
    return await ctx.lines.models.do(request.receive, explanation.explain, ctx, *asked, key=("explain", *asked))


@router.post(
    "/explanations/{explanation_id}/parts/{part}",
    tags=["explanations"],
    summary="Complete an explanation",
    response_model=schemas.Explanation,
    responses=errors(404),
)
async def complete_explanation(explanation_id: Word, part: Word, request: Request, ctx: InContext) -> Any:
    """Compute a pending part: `trust` tests all maps, `what_if` tries other numbers of zero vectors.

    A part that is there already is not computed again.
    """
    key = ("complete", explanation_id, part)
    return await ctx.lines.models.do(request.receive, explanation.complete, ctx, explanation_id, part, key=key)


@router.get(
    "/explanations/{explanation_id}",
    tags=["explanations"],
    summary="Show an explanation",
    response_model=schemas.Explanation,
    responses=errors(404),
)
def get_explanation(
    explanation_id: Word,
    ctx: InContext,
    region: Annotated[Word | None, Query(description="Measure maps against this region of the image.")] = None,
) -> Any:
    """Maps, attention per layer, what-if numbers and trust of one explanation.

    Maps are measured against the mask that came with the image set, or against the region named.
    """
    return explanation.get_explanation(ctx, explanation_id, region)


@router.get(
    "/explanations/{explanation_id}/maps/{kind}",
    tags=["explanations"],
    summary="Get a map",
    response_class=FileResponse,
    responses={**errors(404), **binary("The map as a picture, or all arrays", *MAP_TYPES)},
)
def get_map(
    explanation_id: Word,
    kind: Word,
    ctx: InContext,
    form: Annotated[Literal["png", "svg"], Query(description="`svg` draws patches unsmoothed, with a table.")] = "png",
) -> Any:
    """One map as PNG or SVG; the kind `arrays` gives all of them as a NumPy .npz file. Each holds the crop box."""
    if form == "svg" and kind != explanation.ARRAYS:
        drawing = explanation.map_drawing(ctx, explanation_id, kind)
        return text_answer(drawing, "image/svg+xml", f"explanation-{explanation_id}-{kind}.svg", results=True)
    path = explanation.map_file(ctx, explanation_id, kind)
    media_type = "image/png" if path.suffix == ".png" else "application/zip"
    return file_answer(path, media_type, f"explanation-{explanation_id}-{path.stem}{path.suffix}", results=True)


@router.get(
    "/explanations/{explanation_id}/page",
    tags=["explanations"],
    summary="Get the page of a case",
    response_class=Response,
    responses={**errors(404), **binary("One HTML file that loads nothing; it holds the picture.", "text/html")},
)
def get_case_page(
    explanation_id: Word,
    ctx: InContext,
    region: Annotated[Word | None, Query(description="Measure maps against this region of the image.")] = None,
) -> Any:
    """Maps with their tables, trust, region, what-if numbers and settings of one image, to keep or to print."""
    page = explanation.case_page(ctx, explanation_id, region)
    return text_answer(page, "text/html", f"explanation-{explanation_id}.html", results=True)
