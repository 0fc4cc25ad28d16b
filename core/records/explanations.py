"""Explanations: where a model looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from core.errors import NotFound
from core.explain.parts import RULES
from core.records.ids import new_id
from core.records.tables import ExplanationRow
from core.records.types import check_finite, iso, unreadable_columns

NO_NUMBERS = "The model's weights give no numbers for this image: train it again."


def add_explanation(
    session: Session,
    *,
    model_id: str,
    image_id: str,
    class_name: str,
    seconds: float,
    folder: str,
    result: Mapping[str, Any],
    image_sha256: str | None = None,
    weights_sha256: str | None = None,
) -> str:
    """Record an explanation whose files lie in `folder` (inside the home folder), and return its id.

    Raises InvalidInput for a result that is not in numbers.
    """
    check_finite(dict(result), "The explanation", NO_NUMBERS)
    row = ExplanationRow(
        id=new_id(),
        model_id=model_id,
        image_id=image_id,
        class_name=class_name,
        seconds=seconds,
        folder=folder,
        image_sha256=image_sha256,
        weights_sha256=weights_sha256,
        explainer=result.get("explainer"),
        settings=dict(result.get("settings") or {}),
        rules=result.get("rules") or 0,
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


def find_same_explanation(session: Session, model_id: str, image_id: str, class_name: str | None) -> str | None:
    """The id of the newest explanation that the same question would get again, if there is one.

    class_name None: of the class that the model predicts. Older rules of making them do not count.
    """
    row = ExplanationRow
    query = select(row).where(row.model_id == model_id, row.image_id == image_id, row.rules == RULES)
    query = query if class_name is None else query.where(row.class_name == class_name)
    for found in session.scalars(query.order_by(row.created_at.desc(), row.id.desc())):
        if class_name is not None or found.result.get("predicted") == found.class_name:
            return found.id
    return None


def complete_explanation(session: Session, explanation_id: str, part: str, value: Any, seconds: float) -> None:
    """Add a part that was pending; a part that somebody else added meanwhile stays as it is. Raises NotFound."""
    check_finite(
        {part: value}, "The explanation", "The model's weights give no numbers for this image: train it again."
    )
    row = find_explanation(session, explanation_id)
    pending = list(row.result.get("pending", []))
    if part in pending:
        left = [one for one in pending if one != part]
        row.result = {**row.result, part: value, "pending": left, "seconds": row.seconds + seconds}
        row.seconds += seconds


def explanation_dict(session: Session, explanation_id: str) -> dict[str, Any]:
    """The recorded result with id, model_id, image_id, class, seconds and created_at. Raises NotFound."""
    return _dict(find_explanation(session, explanation_id))


def list_explanations(
    session: Session, model_id: str | None = None, image_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Explanations in short (without their result), the newest first; all, or those of one model or image."""
    query = select(ExplanationRow).options(defer(ExplanationRow.result, raiseload=True))
    query = query.where(*_of(model_id, image_id)).order_by(ExplanationRow.created_at.desc(), ExplanationRow.id.desc())
    return [_short(row) for row in session.scalars(query.limit(limit).offset(offset))]


def count_explanations(session: Session, model_id: str | None = None, image_id: str | None = None) -> int:
    """How many explanations `list_explanations` would give over all pages."""
    return session.scalar(select(func.count(ExplanationRow.id)).where(*_of(model_id, image_id))) or 0


def count_of_models(session: Session, model_ids: Sequence[str]) -> int:
    """How many explanations these models have."""
    return session.scalar(select(func.count(ExplanationRow.id)).where(ExplanationRow.model_id.in_(model_ids))) or 0


def _of(model_id: str | None, image_id: str | None) -> list[ColumnElement[bool]]:
    asked = ((ExplanationRow.model_id, model_id), (ExplanationRow.image_id, image_id))
    return [column == value for column, value in asked if value is not None]


def _dict(row: ExplanationRow) -> dict[str, Any]:
    maps = row.result.get("maps")
    sound = isinstance(maps, list) and all(isinstance(entry, dict) and entry.get("kind") for entry in maps)
    unreadable = unreadable_columns(row) or ([] if sound else ["maps"])
    return {**row.result, "maps": maps if sound else [], **_short(row), "unreadable": unreadable}


def _short(row: ExplanationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "model_id": row.model_id,
        "image_id": row.image_id,
        "class": row.class_name,
        "image_sha256": row.image_sha256,
        "weights_sha256": row.weights_sha256,
        "explainer": row.explainer,
        "settings": row.settings,
        "seconds": row.seconds,
        "created_at": iso(row.created_at),
        "unreadable": unreadable_columns(row),
    }
