"""Regions of images: drawn in pixels of the upright picture, or uploaded as masks; kept as images are."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from PIL import Image
from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.image_sets import existing_file, get_image, mask_file
from core.errors import InvalidInput
from core.images.decode import opened_picture
from core.images.limits import Limits
from core.records import audit, image_sets
from core.records import regions as records

if TYPE_CHECKING:
    import numpy as np

    from core.explain.frame import Frame, SeenMask
    from core.explain.measure import Source

OWN = "set"
"""What the mask that came with an image set is called where a region is named."""


def draw_region(ctx: Context, image_id: str, shapes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep a drawn region. Raises NotFound, InvalidInput for shapes that are none or lie outside the picture."""
    from core.explain.drawing import Shape, draw

    image = get_image(ctx, image_id)
    drawn = [Shape.of(shape) for shape in shapes]
    marked = draw(drawn, (image["width"], image["height"]))
    return _keep(ctx, image["id"], "drawn", [shape.as_dict() for shape in drawn], marked)


def upload_region(ctx: Context, image_id: str, files: Sequence[tuple[str, BinaryIO]]) -> dict[str, Any]:
    """Keep an uploaded mask of the image's size. Raises NotFound, InvalidInput, UnreadableImage as images do."""
    from core.explain.frame import marked_pixels

    image = get_image(ctx, image_id)
    if len(files) != 1:
        raise InvalidInput("One mask", f"found {len(files)} files", "Send the mask of this image alone.")
    content = files[0][1].read(Limits().max_file_bytes + 1)
    with opened_picture(content) as picture:
        if picture.size != (image["width"], image["height"]):
            raise InvalidInput(
                f"A mask is as large as its image, {image['width']} x {image['height']} px",
                f"found {picture.width} x {picture.height} px",
                "Give the mask of this image.",
            )
        marked = marked_pixels(picture.marked())
    if not marked.any():
        raise InvalidInput("A mask that marks at least one pixel", "found none that is not black", "Mark the region.")
    return _keep(ctx, image["id"], "uploaded", [], marked)


def list_regions(ctx: Context, image_id: str, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """The image's own regions, newest first. Raises NotFound."""
    image = get_image(ctx, image_id)
    with ctx.db.reading() as session:
        return records.list_regions(session, image["id"], limit, offset)


def count_regions(ctx: Context, image_id: str) -> int:
    """How many regions `list_regions` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_regions(session, str(image_id))


def region_mask(ctx: Context, image_id: str, region_id: str) -> tuple[Path, str]:
    """The mask of a region, white on it, and its media type; `OWN` names the set's. Raises NotFound."""
    if region_id == OWN:
        return mask_file(ctx, image_id)
    with ctx.db.reading() as session:
        file = records.find_region(session, str(region_id), str(image_id)).mask_file
    return existing_file(ctx, file)


def delete_region(ctx: Context, image_id: str, region_id: str) -> dict[str, Any]:
    """Forget a region and its mask. Raises NotFound."""

    def work(session: Session) -> list[str]:
        paths = records.delete_region(session, str(region_id), str(image_id))
        audit.add_audit_entry(session, ACTOR, "delete", "region", str(region_id), {"image_id": str(image_id)})
        return paths

    contents.remove(ctx, work)
    return {"deleted": str(region_id)}


def seen_region(
    ctx: Context, image_id: str, region_id: str, frame: Frame, grid: tuple[int, int]
) -> tuple[SeenMask, Source]:
    """A region laid on a model's patches, and whose it is. Raises NotFound."""
    from core.explain.frame import seen_through

    source: Source = "set"
    if region_id != OWN:
        with ctx.db.reading() as session:
            source = records.region_dict(session, str(region_id))["source"]
    with opened_picture(region_mask(ctx, image_id, region_id)[0]) as picture:
        return seen_through(frame, picture.marked(), grid), source


def _keep(
    ctx: Context,
    image_id: str,
    source: Literal["drawn", "uploaded"],
    shapes: Sequence[Mapping[str, Any]],
    marked: np.ndarray,
) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(marked).save(file, "PNG", optimize=False)
    with ctx.store.staging() as staged:
        sha256, path = staged.put(file.getvalue(), ".png")

        def work(session: Session) -> str:
            made = records.add_region(
                session,
                image_id,
                source=source,
                shapes=shapes,
                marked_px=int(marked.sum()),
                mask_sha256=sha256,
                mask_file=image_sets.path_in(ctx.settings.images_dir, staged.targets[path]),
            )
            audit.add_audit_entry(session, ACTOR, "add", "region", made, {"image_id": image_id})
            return made

        made = contents.record(ctx, staged, work)
    with ctx.db.reading() as session:
        return records.region_dict(session, made)
