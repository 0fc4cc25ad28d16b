"""Image sets and their images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from app.api import schemas
from app.api.common import InContext, InPages, binary, errors, file_answer, form_body
from app.api.upload import MEGABYTE, UploadLimits, received_form
from app.api.values import Word
from app.services import image_sets, incoming_images, thumbnails
from core.images.columns import ColumnChoice

router = APIRouter(tags=["image sets"])
LONGEST_LIST = 32 * MEGABYTE
TABLES_ALONE = UploadLimits(160 * MEGABYTE, max_files=40, max_field_bytes=LONGEST_LIST, max_field_length=LONGEST_LIST)
PICTURES = ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp")


@router.get("/image-sets", summary="List image sets", response_model=schemas.ImageSetList, responses=errors())
def list_image_sets(ctx: InContext, pages: InPages) -> Any:
    """Image sets in short, newest first."""
    return pages.page(image_sets.list_image_sets(ctx, pages.limit, pages.offset), image_sets.count_image_sets(ctx))


@router.post(
    "/image-sets",
    summary="Upload an image set",
    status_code=201,
    response_model=schemas.ImageSet,
    responses=errors(409, 413, 422),
    openapi_extra=form_body(
        {
            "name": "Name of the new set.",
            "modality": "What the pictures are, such as 'breast ultrasound'.",
            "group": "Column of the table that tells patients apart, or none; recognised by its name if left out.",
            "label": "Column of the table that names the classes; recognised by its name if left out.",
        },
        ["name"],
    ),
)
async def add_image_set(request: Request, ctx: InContext) -> Any:
    """Make an image set from one zip or from many image files.

    Single files carry their place in their name, as browsers send folders: `train/<class>/x.png` with
    `test/<class>/y.png`, or `<class>/x.png` (then a test part is held out). Files that cannot be used are listed in
    `problems`, the others are kept; if none is usable the answer is 422. A table beside the images (`.csv`, `.tsv`,
    `.txt`) gives classes, parts and groups; `notes` say which column was taken for which, and
    `POST /image-sets/columns` says it before anything is sent.
    """
    async with received_form(request, ctx.uploads_dir) as form:
        name, modality = form.required("name", "'breast ultrasound, spring'"), form.fields.get("modality")
        choice = ColumnChoice(form.fields.get("group") or None, form.fields.get("label") or None)
        return await ctx.lines.uploads.do(
            request.receive, incoming_images.add_upload, ctx, form.streams(), name, modality or None, choice
        )


@router.post(
    "/image-sets/columns",
    summary="Recognise the columns of tables before an upload",
    response_model=schemas.RecognisedColumns,
    responses=errors(413, 422),
    openapi_extra=form_body(
        {
            "names": "JSON list of the names of all files that would be sent, those inside a zip too.",
            "group": "Column that tells patients apart, or none, instead of the recognised one.",
            "label": "Column that names the classes, instead of the recognised one.",
        },
        ["names"],
    ),
)
async def recognise_columns(request: Request, ctx: InContext) -> Any:
    """Say which column of the tables would name files and classes, and which would keep a patient's images together.

    `files` are the tables alone; nothing is kept. What the answer shows can be confirmed or chosen otherwise with the
    fields `group` and `label` of the upload.
    """
    async with received_form(request, ctx.uploads_dir, TABLES_ALONE) as form:
        names = form.required("names", '["images/a.png", "metadata.csv"]')
        choice = ColumnChoice(form.fields.get("group") or None, form.fields.get("label") or None)
        return await ctx.lines.uploads.do(
            request.receive, incoming_images.recognise_columns, names, form.streams(), choice
        )


@router.post(
    "/image-sets/demo",
    summary="Add the drawn demo set",
    status_code=201,
    response_model=schemas.ImageSet,
    responses=errors(),
)
async def add_demo(request: Request, ctx: InContext) -> Any:
    """Draw a set of phantoms (not patient images), or return the one there is."""
    return await ctx.lines.uploads.do(request.receive, incoming_images.add_demo, ctx, key="demo")


@router.get(
    "/image-sets/{image_set_id}",
    summary="Show an image set",
    response_model=schemas.ImageSet,
    responses=errors(404),
)
def get_image_set(image_set_id: Word, ctx: InContext) -> Any:
    """One image set by id or name, with the first of its problems."""
    return image_sets.get_image_set(ctx, image_set_id)


@router.delete(
    "/image-sets/{image_set_id}",
    summary="Delete an image set",
    response_model=schemas.Deleted,
    responses=errors(404, 409),
)
def delete_image_set(image_set_id: Word, ctx: InContext) -> Any:
    """Delete a set that no run uses, and the image files only it had."""
    return image_sets.delete_image_set(ctx, image_set_id)


@router.get(
    "/image-sets/{image_set_id}/images",
    summary="List the images of a set",
    response_model=schemas.ImageList,
    responses=errors(404, 422),
)
def list_images(
    image_set_id: Word,
    ctx: InContext,
    pages: InPages,
    class_name: Annotated[Word | None, Query(alias="class", description="Only this class.")] = None,
    part: Annotated[Word | None, Query(pattern="^(train|val|test)$", description="Only this part.")] = None,
) -> Any:
    """Images in file order, by class and part if asked."""
    total = image_sets.count_images(ctx, image_set_id, class_name, part)
    items = image_sets.list_images(ctx, image_set_id, class_name, part, pages.offset, pages.limit)
    return pages.page(items, total)


@router.get(
    "/image-sets/{image_set_id}/problems",
    summary="List the refused files of a set",
    response_model=schemas.ProblemList,
    responses=errors(404),
)
def list_problems(image_set_id: Word, ctx: InContext, pages: InPages) -> Any:
    """Every file that was refused when the set was read, with its reason."""
    items = image_sets.list_problems(ctx, image_set_id, pages.limit, pages.offset)
    return pages.page(items, image_sets.count_problems(ctx, image_set_id))


@router.get("/images/{image_id}", summary="Show an image's record", response_model=schemas.Image, responses=errors(404))
def get_image(image_id: Word, ctx: InContext) -> Any:
    """What is known about one image, without its picture."""
    return image_sets.get_image(ctx, image_id)


@router.get(
    "/images/{image_id}/file",
    summary="Get an image's file",
    response_class=FileResponse,
    responses={**errors(404), **binary("The file as it was uploaded", *PICTURES)},
)
def get_file(image_id: Word, ctx: InContext) -> Any:
    """The stored bytes, under our own file name."""
    path, media_type = image_sets.image_file(ctx, image_id)
    return file_answer(path, media_type, f"image-{image_id}{path.suffix}")


@router.get(
    "/images/{image_id}/thumbnail",
    summary="Get a small picture of an image",
    response_class=FileResponse,
    responses={**errors(404, 422), **binary("A small picture", "image/png", "image/jpeg", "image/webp")},
)
async def get_thumbnail(
    image_id: Word,
    request: Request,
    ctx: InContext,
    size_px: Annotated[int, Query(ge=16, le=1024, description="Longer side in pixels.")] = 160,
) -> Any:
    """The image scaled down so that a browser can show it, whatever its format."""
    asked = (ctx, image_id, size_px)
    found = await run_in_threadpool(thumbnails.kept_thumbnail, *asked)
    path, media_type = found or await ctx.lines.pictures.do(
        request.receive, thumbnails.thumbnail, *asked, key=(image_id, size_px)
    )
    return file_answer(path, media_type, f"image-{image_id}-{size_px}px{path.suffix}")


@router.get(
    "/images/{image_id}/mask",
    summary="Get an image's lesion mask",
    response_class=FileResponse,
    responses={**errors(404), **binary("The mask, white on the lesion", "image/png")},
)
def get_mask(image_id: Word, ctx: InContext) -> Any:
    """The mask kept with a drawn phantom; 404 where an image has none."""
    path, media_type = image_sets.mask_file(ctx, image_id)
    return file_answer(path, media_type, f"image-{image_id}-mask{path.suffix}")
