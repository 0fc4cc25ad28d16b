"""Published numbers: kept once each, found by method, and tied to an image set of this place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidInput, NotFound
from core.evaluation.published_file import PublishedResult
from core.images.labelled_image import digest
from core.records.image_sets import find_image_set
from core.records.tables import ImageRow, PublishedResultRow
from core.records.types import iso, unreadable_columns
from core.text import shown

ROW = PublishedResultRow
COLUMNS = tuple(PublishedResult.__dataclass_fields__)
SAME = ("method", "data_set", "metric", "part", "protocol", "shots", "share", "backbone", "whose", "run_by", "source")
"""Results that agree in these and in their place are one number."""


def add_published(session: Session, results: Sequence[PublishedResult]) -> tuple[list[str], int]:
    """Keep what is not kept yet: (ids of the new ones, how many were known). Raises Conflict, naming another value."""
    known = {_identity(row): row.value for row in session.scalars(select(ROW))}
    made, again = [], 0
    for result in results:
        identity = _identity(result)
        if identity not in known:
            row = ROW(**asdict(result))
            session.add(row)
            session.flush()
            made.append(row.id)
            known[identity] = result.value
        elif known[identity] == result.value:
            again += 1
        else:
            raise Conflict(
                f"{result.method} on '{shown(result.data_set)}' ({shown(result.place)}) has one published value",
                f"{known[identity]:.4f} is kept, {result.value:.4f} is given",
                "Delete the one that is wrong first. Nothing was kept.",
            )
    return made, again


def list_published(
    session: Session, method: str | None = None, data_set: str | None = None, limit: int = 500, offset: int = 0
) -> list[dict[str, Any]]:
    """Published numbers by method and data set; all, or those of one method or data set."""
    query = _narrowed(select(ROW), method, data_set).order_by(ROW.method, ROW.data_set, ROW.id)
    return [_dict(row) for row in session.scalars(query.limit(limit).offset(offset))]


def count_published(session: Session, method: str | None = None, data_set: str | None = None) -> int:
    """How many `list_published` would give over all pages."""
    return session.scalar(_narrowed(select(func.count(ROW.id)), method, data_set)) or 0


def published_of_methods(session: Session, methods: Iterable[str]) -> list[dict[str, Any]]:
    """Everything published of some methods, in order."""
    query = select(ROW).where(ROW.method.in_(sorted(set(methods)))).order_by(ROW.method, ROW.data_set, ROW.id)
    return [_dict(row) for row in session.scalars(query)]


def published_dict(session: Session, published_id: str) -> dict[str, Any]:
    """One published number. Raises NotFound."""
    return _dict(_find(session, published_id))


def match_published(session: Session, published_id: str, image_set: str, n_test: int | None = None) -> dict[str, Any]:
    """Say that a published number is of an image set here: of exactly its test part, or of another of n_test images.

    Raises NotFound, InvalidInput for a set without a test part.
    """
    row = _find(session, published_id)
    found = find_image_set(session, image_set)
    if n_test is None:
        row.fingerprint, row.n_test = images_of_test_part(session, found.id)
    else:
        row.fingerprint, row.n_test = None, n_test
    row.image_set = found.name
    session.flush()
    return _dict(row)


def delete_published(session: Session, published_id: str) -> str:
    """Forget a published number; its id. Raises NotFound."""
    row = _find(session, published_id)
    session.delete(row)
    session.flush()
    return row.id


def images_of_test_part(session: Session, image_set_id: str) -> tuple[str, int]:
    """Which images the test part of a set holds, whatever they are called, as SHA-256, and how many.

    Raises InvalidInput without any.
    """
    query = select(ImageRow.sha256).where(ImageRow.image_set_id == image_set_id, ImageRow.part == "test")
    images = sorted(session.scalars(query))
    if not images:
        raise InvalidInput("A published number is compared on a test part", "this image set has none")
    return digest(images), len(images)


def _find(session: Session, published_id: str) -> PublishedResultRow:
    row = session.get(ROW, published_id)
    if row is None:
        raise NotFound(
            "The id of a published number",
            f"'{shown(published_id)}' is none",
            "`promptoscope published list` shows them.",
        )
    return row


def _narrowed(query: Any, method: str | None, data_set: str | None) -> Any:
    query = query if method is None else query.where(ROW.method == method)
    return query if data_set is None else query.where(ROW.data_set == data_set)


def _identity(one: PublishedResult | PublishedResultRow) -> tuple[Any, ...]:
    return (*(getattr(one, name) for name in SAME), one.place)


def _dict(row: PublishedResultRow) -> dict[str, Any]:
    found = {"id": row.id} | {name: getattr(row, name) for name in COLUMNS} | {"created_at": iso(row.created_at)}
    return found | ({"unreadable": unreadable} if (unreadable := unreadable_columns(row)) else {})
