"""Small pictures of stored images, drawn when first asked for and kept by content."""

from __future__ import annotations

import os
from pathlib import Path

from app.services.contents import THUMBNAIL_SIZES_PX
from app.services.context import Context
from app.services.image_sets import existing_file, missing_file
from core.disk import told_when_full
from core.errors import NotFound
from core.images.thumbnail import thumbnail as small_copy
from core.records import image_sets as records
from core.scratch import scratch_folder


def thumbnail(ctx: Context, image_id: str, size_px: int = 160) -> tuple[Path, str]:
    """A PNG whose longer side is about size_px, made when first asked for and kept by content.

    Sizes are rounded up to one of THUMBNAIL_SIZES_PX, so that the cache stays small. Raises NotFound.
    """
    stored, target, size = _thumbnail_place(ctx, image_id, size_px)
    if not target.exists():
        source, _ = existing_file(ctx, stored.file)
        _write_thumbnail(ctx, source, target, size)
        _forget_if_deleted(ctx, stored.image_id, target)
    return target, "image/png"


def kept_thumbnail(ctx: Context, image_id: str, size_px: int = 160) -> tuple[Path, str] | None:
    """The same if it was made before, else None: nothing is decoded here. Raises NotFound."""
    _, target, _ = _thumbnail_place(ctx, image_id, size_px)
    return (target, "image/png") if target.exists() else None


def _forget_if_deleted(ctx: Context, image_id: str, target: Path) -> None:
    """Remove a small picture whose image was deleted while it was drawn. Raises NotFound then.

    A deletion that comes after this look finds the picture on the disk and removes it.
    """
    try:
        with ctx.db.reading() as session:
            records.stored_file(session, image_id)
    except NotFound:
        target.unlink(missing_ok=True)
        raise


def _thumbnail_place(ctx: Context, image_id: str, size_px: int) -> tuple[records.StoredFile, Path, int]:
    size = next((known for known in THUMBNAIL_SIZES_PX if known >= size_px), THUMBNAIL_SIZES_PX[-1])
    with ctx.db.reading() as session:
        stored = records.stored_file(session, str(image_id))
    return stored, ctx.thumbnail_file(stored.sha256, size), size


def _write_thumbnail(ctx: Context, source: Path, target: Path, size_px: int) -> None:
    try:
        picture = small_copy(source, size_px)
    except FileNotFoundError:
        raise missing_file() from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with told_when_full(), scratch_folder(ctx.drafts_dir) as folder:
        draft = folder / target.name
        draft.write_bytes(picture)
        os.replace(draft, target)
