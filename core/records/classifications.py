"""Classifications: what a model said about new images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.ids import new_id
from core.records.image_sets import loose_images_of, paths_of_images, picture_dict
from core.records.models import find_model
from core.records.tables import ClassificationImageRow, ClassificationRow, ImageRow
from core.records.types import iso


def add_classification(
    session: Session,
    model_id: str,
    images: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, str]] = (),
) -> str:
    """Record the answers for recorded images, and return the classification's id. Raises NotFound for the model.

    images: image_id, label, probabilities {class: p}, in the order in which they were sent.
    """
    model = find_model(session, model_id)
    row = ClassificationRow(
        id=new_id(),
        model_id=model.id,
        model_name=model.name,
        weights_sha256=model.weights_sha256,
        problems=[dict(problem) for problem in problems],
    )
    session.add(row)
    session.flush()
    if images:
        values = [
            {
                "classification_id": row.id,
                "position": position,
                "image_id": each["image_id"],
                "label": each["label"],
                "probabilities": dict(each["probabilities"]),
            }
            for position, each in enumerate(images)
        ]
        session.execute(insert(ClassificationImageRow), values)
    return row.id


def classification_dict(session: Session, classification_id: str) -> dict[str, Any]:
    """id, model_id, model_name, created_at, images, problems. An image: file, image_id, label,
    probabilities, windowing, findings.

    Raises NotFound.
    """
    return _dicts(session, [_find(session, classification_id)])[0]


def list_classifications(
    session: Session, model_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Classifications, the newest first, with their images; all, or those by one model."""
    query = select(ClassificationRow).order_by(ClassificationRow.created_at.desc(), ClassificationRow.id.desc())
    query = query if model_id is None else query.where(ClassificationRow.model_id == model_id)
    return _dicts(session, session.scalars(query.limit(limit).offset(offset)).all())


def delete_classification(session: Session, classification_id: str) -> list[str]:
    """Forget a classification and its own images; returns what they referred to, as paths in the home folder.

    Called through `app.services.contents.remove`, which removes the files. Raises NotFound.
    """
    row = _find(session, classification_id)
    mine = ImageRow.id.in_(loose_images_of(session, row.id))
    paths = paths_of_images(session, mine)
    session.delete(row)
    session.flush()
    session.execute(delete(ImageRow).where(mine))
    return paths


def _find(session: Session, classification_id: str) -> ClassificationRow:
    row = session.get(ClassificationRow, classification_id)
    if row is None:
        raise NotFound("A classification with this id", f"'{classification_id}' is none", "List the classifications.")
    return row


def _dicts(session: Session, rows: Sequence[ClassificationRow]) -> list[dict[str, Any]]:
    images: dict[str, list[dict[str, Any]]] = {row.id: [] for row in rows}
    answers = ClassificationImageRow
    query = (
        select(answers, ImageRow)
        .join(ImageRow, answers.image_id == ImageRow.id)
        .where(answers.classification_id.in_(images))
        .order_by(answers.classification_id, answers.position)
    )
    for answer, image in session.execute(query):
        images[answer.classification_id].append(
            {
                "file": image.name,
                "image_id": answer.image_id,
                "label": answer.label,
                "probabilities": answer.probabilities,
                **picture_dict(image),
            }
        )
    return [
        {
            "id": row.id,
            "model_id": row.model_id,
            "model_name": row.model_name,
            "created_at": iso(row.created_at),
            "images": images[row.id],
            "problems": row.problems,
        }
        for row in rows
    ]
