"""Explanations: where a model looked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.ids import new_id
from core.records.tables import ExplanationRow
from core.records.types import iso


def add_explanation(
    session: Session,
    *,
    model_id: str,
    image_id: str,
    class_name: str,
    seconds: float,
    folder: str,
    result: Mapping[str, Any],
) -> str:
    """Record an explanation whose files lie in `folder` (inside the home folder), and return its id."""
    row = ExplanationRow(
        id=new_id(),
        model_id=model_id,
        image_id=image_id,
        class_name=class_name,
        seconds=seconds,
        folder=folder,
        result=dict(result),
    )
    session.add(row)
    session.flush()
    return row.id


def find_explanation(session: Session, explanation_id: str) -> ExplanationRow:
    """The row of an explanation. Raises NotFound."""
    row = session.get(ExplanationRow, explanation_id)
    if row is None:
        raise NotFound("An explanation with this id", f"'{explanation_id}' is none", "Explain the image again.")
    return row


def find_same_explanation(session: Session, model_id: str, image_id: str, class_name: str) -> ExplanationRow | None:
    """The newest explanation of the same model, image and class, where there is one."""
    row = ExplanationRow
    query = select(row).where(row.model_id == model_id, row.image_id == image_id, row.class_name == class_name)
    return session.scalar(query.order_by(row.created_at.desc(), row.id.desc()).limit(1))


def explanation_dict(session: Session, explanation_id: str) -> dict[str, Any]:
    """The recorded result with id, model_id, image_id, class, seconds and created_at. Raises NotFound."""
    return _dict(find_explanation(session, explanation_id))


def list_explanations(
    session: Session, model_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Explanations, the newest first; all, or those of one model."""
    query = select(ExplanationRow).order_by(ExplanationRow.created_at.desc(), ExplanationRow.id.desc())
    query = query if model_id is None else query.where(ExplanationRow.model_id == model_id)
    return [_dict(row) for row in session.scalars(query.limit(limit).offset(offset))]


def _dict(row: ExplanationRow) -> dict[str, Any]:
    return dict(row.result) | {
        "id": row.id,
        "model_id": row.model_id,
        "image_id": row.image_id,
        "class": row.class_name,
        "seconds": row.seconds,
        "created_at": iso(row.created_at),
    }
