"""Regions: places marked on an image, by hand or by an uploaded mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.contents import image_path
from core.records.ids import new_id
from core.records.tables import RegionRow
from core.records.types import iso, unreadable_columns


def add_region(
    session: Session,
    image_id: str,
    *,
    source: Literal["drawn", "uploaded"],
    shapes: Sequence[Mapping[str, Any]],
    marked_px: int,
    mask_sha256: str,
    mask_file: str,
) -> str:
    """Record a region whose mask lies in the image store, and return its id."""
    row = RegionRow(
        id=new_id(),
        image_id=image_id,
        source=source,
        shapes=[dict(shape) for shape in shapes],
        marked_px=marked_px,
        mask_sha256=mask_sha256,
        mask_file=mask_file,
    )
    session.add(row)
    session.flush()
    return row.id


def find_region(session: Session, region_id: str, image_id: str | None = None) -> RegionRow:
    """The row of a region, of this image if one is named. Raises NotFound."""
    row = session.get(RegionRow, region_id)
    if row is None or image_id not in (None, row.image_id):
        raise NotFound("A region of this image", f"'{region_id}' is none", "List the image's regions.")
    return row


def region_dict(session: Session, region_id: str) -> dict[str, Any]:
    """One region with its shapes. Raises NotFound."""
    return _dict(find_region(session, region_id))


def list_regions(session: Session, image_id: str, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """The regions of an image, the newest first."""
    query = select(RegionRow).where(RegionRow.image_id == image_id)
    query = query.order_by(RegionRow.created_at.desc(), RegionRow.id.desc())
    return [_dict(row) for row in session.scalars(query.limit(limit).offset(offset))]


def count_regions(session: Session, image_id: str) -> int:
    """How many regions an image has."""
    return session.scalar(select(func.count(RegionRow.id)).where(RegionRow.image_id == image_id)) or 0


def delete_region(session: Session, region_id: str, image_id: str) -> list[str]:
    """Forget a region; returns its mask, as a path in the home folder. Raises NotFound."""
    row = find_region(session, region_id, image_id)
    session.delete(row)
    session.flush()
    return [image_path(row.mask_file)]


def _dict(row: RegionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "image_id": row.image_id,
        "source": row.source,
        "shapes": row.shapes,
        "marked_px": row.marked_px,
        "created_at": iso(row.created_at),
        "unreadable": unreadable_columns(row),
    }
