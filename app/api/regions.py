"""Regions of images: drawn, uploaded, looked at and forgotten."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from app.api import region_schemas, schemas
from app.api.common import InContext, InPages, binary, errors, file_answer, form_body
from app.api.upload import received_form
from app.api.values import Word
from app.services import regions

router = APIRouter(tags=["images"])


@router.get(
    "/images/{image_id}/regions",
    summary="List the regions of an image",
    response_model=region_schemas.RegionList,
    responses=errors(404),
)
def list_regions(image_id: Word, ctx: InContext, pages: InPages) -> Any:
    """Regions that were drawn or uploaded, newest first. A mask that came with the image set is not among them."""
    items = regions.list_regions(ctx, image_id, pages.limit, pages.offset)
    return pages.page(items, regions.count_regions(ctx, image_id))


@router.post(
    "/images/{image_id}/regions",
    summary="Draw a region",
    status_code=201,
    response_model=region_schemas.Region,
    responses=errors(404, 422),
)
async def draw_region(image_id: Word, body: region_schemas.NewRegion, request: Request, ctx: InContext) -> Any:
    """Keep polygons and brush strokes, in pixels of the upright image, as one region."""
    shapes = [shape.model_dump() for shape in body.shapes]
    return await ctx.lines.pictures.do(request.receive, regions.draw_region, ctx, image_id, shapes)


@router.post(
    "/images/{image_id}/region-files",
    summary="Upload a region",
    status_code=201,
    response_model=region_schemas.Region,
    responses=errors(404, 413, 422),
    openapi_extra=form_body({}, []),
)
async def upload_region(image_id: Word, request: Request, ctx: InContext) -> Any:
    """Keep a mask as a region: one picture of the image's size, white on the region; limits are those of images."""
    async with received_form(request, ctx.uploads_dir) as form:
        return await ctx.lines.pictures.do(request.receive, regions.upload_region, ctx, image_id, form.streams())


@router.get(
    "/images/{image_id}/regions/{region_id}/mask",
    summary="Get a region's mask",
    response_class=FileResponse,
    responses={**errors(404), **binary("The mask, white on the region", "image/png")},
)
def get_region_mask(image_id: Word, region_id: Word, ctx: InContext) -> Any:
    """The mask as PNG, as large as the upright image; the region `set` is the mask that came with the image set."""
    path, media_type = regions.region_mask(ctx, image_id, region_id)
    return file_answer(path, media_type, f"region-{region_id}{path.suffix}")


@router.delete(
    "/images/{image_id}/regions/{region_id}",
    summary="Delete a region",
    response_model=schemas.Deleted,
    responses=errors(404),
)
def delete_region(image_id: Word, region_id: Word, ctx: InContext) -> Any:
    """Forget a region and its mask; explanations stay."""
    return regions.delete_region(ctx, image_id, region_id)
