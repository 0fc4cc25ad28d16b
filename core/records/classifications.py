"""Classifications: what a model said about new images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.description_use import version_of_model
from core.records.ids import new_id
from core.records.image_sets import loose_images_of, paths_of_images, picture_dict
from core.records.models import find_model
from core.records.tables import ClassificationImageRow, ClassificationRow, ImageRow, ModelRow, RunImageRow
from core.records.types import check_finite, iso, unreadable_columns

JUDGED = ("set", "set_reason", "abstain", "outside")
"""What a model says beside its probabilities; see `core.tuning.judge`."""
EARLIER = {"set": None, "set_reason": "no set: answered before sets were kept", "abstain": None, "outside": None}
UNSOUND_MODEL = "The model's weights give no numbers for it: train it again with a smaller learning rate."


def add_classification(
    session: Session,
    model_id: str,
    images: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, str]] = (),
) -> str:
    """Record the answers for recorded images, and return the classification's id. Raises NotFound for the model.

    images: image_id, label, probabilities {class: p} and what else the model said of each (see JUDGED), in the order in
    which they were sent. Raises InvalidInput for answers that are no numbers: they would look like answers.
    """
    for place, each in enumerate(images, start=1):
        said = [each["probabilities"], each.get("outside")]
        check_finite(said, f"The answer for image {place}", UNSOUND_MODEL)
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
                "judged": {name: each[name] for name in JUDGED} if "set" in each else None,
            }
            for position, each in enumerate(images)
        ]
        session.execute(insert(ClassificationImageRow), values)
    return row.id


def classification_dict(session: Session, classification_id: str) -> dict[str, Any]:
    """id, model_id, model_name, created_at, images, problems, description_version. An image: file, image_id, label,
    probabilities, set, set_reason, abstain, outside, windowing, findings. The nearest training images in `outside` have
    an image_id, None once the image or the model is deleted.

    description_version: of which descriptions the model was trained on; see `core.records.description_use`. Raises
    NotFound.
    """
    row = _find(session, classification_id)
    images, unreadable = _images(session, row)
    return _short(row, len(images)) | {
        "images": images,
        "problems": list(row.problems),
        "description_version": version_of_model(session, id=row.model_id) if row.model_id else None,
        "unreadable": sorted({*unreadable_columns(row), *unreadable}),
    }


def list_classifications(
    session: Session, model_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Classifications, the newest first, in short: how many images and problems; all, or those by one model."""
    query = select(ClassificationRow).order_by(ClassificationRow.created_at.desc(), ClassificationRow.id.desc())
    query = query if model_id is None else query.where(ClassificationRow.model_id == model_id)
    rows = session.scalars(query.limit(limit).offset(offset)).all()
    counts = _image_counts(session, [row.id for row in rows])
    return [_short(row, counts.get(row.id, 0)) for row in rows]


def count_classifications(session: Session, model_id: str | None = None) -> int:
    """How many classifications `list_classifications` would give over all pages."""
    query = select(func.count(ClassificationRow.id))
    return session.scalar(query if model_id is None else query.where(ClassificationRow.model_id == model_id)) or 0


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


def _image_counts(session: Session, ids: Sequence[str]) -> dict[str, int]:
    row = ClassificationImageRow
    counts = select(row.classification_id, func.count()).where(row.classification_id.in_(ids))
    return {id_: number for id_, number in session.execute(counts.group_by(row.classification_id))}  # noqa: C416


def _images(session: Session, row: ClassificationRow) -> tuple[list[dict[str, Any]], list[str]]:
    """The answers in order, and the names of their columns that cannot be read."""
    answers = ClassificationImageRow
    query = (
        select(answers, ImageRow)
        .join(ImageRow, answers.image_id == ImageRow.id)
        .where(answers.classification_id == row.id)
        .order_by(answers.position)
    )
    found = session.execute(query).all()
    learned = _learned_from(session, row.model_id)
    rows = [
        {
            "file": image.name,
            "image_id": answer.image_id,
            "label": answer.label,
            "probabilities": answer.probabilities,
            **_judged(answer.judged, learned),
            **picture_dict(image),
        }
        for answer, image in found
    ]
    return rows, unreadable_columns(*(answer for answer, _ in found))


def _judged(judged: Mapping[str, Any] | None, learned: Mapping[str, str]) -> dict[str, Any]:
    """What was said beside the probabilities, the nearest training images with their ids."""
    said = EARLIER | dict(judged or {})
    outside = said["outside"]
    if outside:
        near = [one | {"image_id": learned.get(one["sha256"])} for one in outside["nearest"]]
        said["outside"] = {**outside, "nearest": near}
    return said


def _learned_from(session: Session, model_id: str | None) -> dict[str, str]:
    """Ids of the stored images a model learned from, by their content."""
    drawn = RunImageRow
    query = (
        select(drawn.sha256, drawn.image_id)
        .join(ModelRow, ModelRow.run_id == drawn.run_id)
        .where(ModelRow.id == model_id, drawn.role == "train", drawn.image_id.is_not(None))
    )
    return {sha256: str(image_id) for sha256, image_id in session.execute(query)}


def _short(row: ClassificationRow, n_images: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "model_id": row.model_id,
        "model_name": row.model_name,
        "created_at": iso(row.created_at),
        "n_images": n_images,
        "n_problems": len(row.problems),
        "unreadable": unreadable_columns(row),
    }
