"""Batches of explanations: a set under several conditions, measured image by image, gone on with when interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.records.ids import new_id
from core.records.tables import (
    ExplanationBatchMeasureRow,
    ExplanationBatchModelRow,
    ExplanationBatchRow,
    JobRow,
    ModelRow,
)
from core.records.types import check_finite, iso, now, unreadable_columns

NO_NUMBERS = "The model's weights give no numbers for these images: train it again."
UNDER_WAY = ("queued", "running")


@dataclass(frozen=True)
class BatchModel:
    """A model of a batch: position from 0, its id (None once deleted), name and weight checksum as they were.

    is_done: whether it is measured and summed up. n_conditions: of its plan, 0 before it has one.
    """

    position: int
    model_id: str | None
    name: str
    weights_sha256: str
    is_done: bool = False
    n_conditions: int = 0


@dataclass(frozen=True)
class Batch:
    """What was asked. image_set_id: None once the set was deleted. settings: of `core.explain.batch`."""

    id: str
    image_set_id: str | None
    image_set_name: str
    part: str
    n_images: int
    settings: dict[str, Any]
    models: list[BatchModel]


@dataclass(frozen=True)
class MeasuredImage:
    """An image of the part that is measured. position: in the part, from 0."""

    position: int
    image_id: str
    sha256: str


def add_batch(
    session: Session,
    *,
    image_set: Mapping[str, Any],
    part: str,
    n_images: int,
    settings: Mapping[str, Any],
    models: Sequence[Mapping[str, Any]],
) -> str:
    """A batch to be measured; returns its id. image_set: id, name and fingerprint. models: id, name, weights_sha256."""
    row = ExplanationBatchRow(
        id=new_id(),
        image_set_id=image_set["id"],
        image_set_name=image_set["name"],
        image_set_fingerprint=image_set["fingerprint"],
        part=part,
        n_images=n_images,
        settings=dict(settings),
    )
    session.add(row)
    session.flush()
    values = [
        {
            "batch_id": row.id,
            "position": at,
            "model_id": model["id"],
            "name": model["name"],
            "weights_sha256": model["weights_sha256"],
        }
        for at, model in enumerate(models)
    ]
    session.execute(insert(ExplanationBatchModelRow), values)
    return row.id


def find_batch(session: Session, batch_id: str) -> Batch:
    """What was asked for in a batch. Raises NotFound."""
    row = _row(session, batch_id)
    models = [
        BatchModel(
            each.position,
            each.model_id,
            each.name,
            each.weights_sha256,
            each.result is not None,
            len((each.plan or {}).get("conditions", [])),
        )
        for each in _models(session, [row.id])
    ]
    return Batch(row.id, row.image_set_id, row.image_set_name, row.part, row.n_images, row.settings, models)


def batch_dict(session: Session, batch_id: str) -> dict[str, Any]:
    """A batch with its models, their summaries, its job and how much is measured. Raises NotFound."""
    return _dicts(session, [_row(session, batch_id)], full=True)[0]


def list_batches(session: Session, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Batches, newest first, as `batch_dict` gives them but without plans and summaries."""
    row = ExplanationBatchRow
    query = select(row).order_by(row.created_at.desc(), row.id.desc()).limit(limit).offset(offset)
    return _dicts(session, session.scalars(query).all(), full=False)


def count_batches(session: Session) -> int:
    """How many batches there are."""
    return session.scalar(select(func.count(ExplanationBatchRow.id))) or 0


def delete_batch(session: Session, batch_id: str) -> None:
    """Delete a batch with all that was measured and its job. Raises NotFound, Conflict while the job is under way."""
    row = _row(session, batch_id)
    job = session.scalar(select(JobRow).where(JobRow.explanation_batch_id == row.id).with_for_update())
    if job is not None and job.state in UNDER_WAY:
        raise Conflict("A batch is deleted when its job has ended", f"it is {job.state}", "Cancel it first.")
    session.delete(row)
    session.flush()


def batches_at_work(session: Session, image_set_id: str) -> int:
    """How many queued or running jobs measure images of a set."""
    batch = ExplanationBatchRow
    query = select(func.count(JobRow.id)).join(batch, JobRow.explanation_batch_id == batch.id)
    return session.scalar(query.where(batch.image_set_id == image_set_id, JobRow.state.in_(UNDER_WAY))) or 0


def keep_plan(session: Session, batch_id: str, position: int, plan: Mapping[str, Any]) -> None:
    """Note which conditions are run with a model."""
    _change_model(session, batch_id, position, plan=dict(plan))


def keep_result(session: Session, batch_id: str, position: int, summaries: Sequence[Mapping[str, Any]]) -> None:
    """Note the summaries of a model."""
    check_finite([dict(each) for each in summaries], "A summary", NO_NUMBERS)
    _change_model(session, batch_id, position, result=[dict(each) for each in summaries])


def finish_batch(session: Session, batch_id: str) -> None:
    """All of it is measured and summed up."""
    row = ExplanationBatchRow
    session.execute(update(row).where(row.id == batch_id).values(finished_at=now()))


def keep_measures(
    session: Session,
    batch_id: str,
    position: int,
    rows: Sequence[Mapping[str, Any]],
    images: Mapping[str, MeasuredImage],
) -> None:
    """Record rows of `core.explain.batch.run_batch` for one model. images: by name.

    Raises InvalidInput for what is no number.
    """
    values = []
    for row in rows:
        image = images[row["image"]]
        measures = {name: value for name, value in row.items() if name not in _OWN_COLUMNS}
        check_finite(measures, "A measure", NO_NUMBERS)
        values.append(
            {
                "batch_id": batch_id,
                "model_position": position,
                "image_position": image.position,
                "key": row["key"],
                "image_id": image.image_id,
                "image_sha256": image.sha256,
                "file": row["image"],
                "class_name": row["class"],
                "group_name": row["group"],
                "left_out": row.get("left_out"),
                "measures": measures,
                "measured_at": now(),
            }
        )
    if values:
        session.execute(insert(ExplanationBatchMeasureRow), values)


def measured(session: Session, batch_id: str, position: int) -> set[tuple[str, str]]:
    """(image name, key) of what is measured with a model; the key of an image that is left out is empty."""
    row = ExplanationBatchMeasureRow
    query = select(row.file, row.key).where(row.batch_id == batch_id, row.model_position == position)
    return {(file, key) for file, key in session.execute(query)}


def count_measures(session: Session, batch_id: str, position: int | None = None, condition: str | None = None) -> int:
    """How many rows `list_measures` would give over all pages."""
    query = select(func.count()).select_from(ExplanationBatchMeasureRow)
    return session.scalar(query.where(*_asked(batch_id, position, condition))) or 0


def list_measures(
    session: Session,
    batch_id: str,
    position: int | None = None,
    condition: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Rows in the order of models, images and conditions; condition: only those of a key such as "C1:4"."""
    row = ExplanationBatchMeasureRow
    query = select(row).where(*_asked(batch_id, position, condition))
    query = query.order_by(row.model_position, row.image_position, row.key)
    return [_measure_dict(each) for each in session.scalars(query.limit(limit).offset(offset))]


_OWN_COLUMNS = {"image", "class", "group", "key", "left_out"}


def _measure_dict(row: ExplanationBatchMeasureRow) -> dict[str, Any]:
    return {
        "model_position": row.model_position,
        "image": row.file,
        "image_id": row.image_id,
        "image_sha256": row.image_sha256,
        "class": row.class_name,
        "group": row.group_name,
        "key": row.key,
        "left_out": row.left_out,
        **row.measures,
        "unreadable": unreadable_columns(row),
    }


def _asked(batch_id: str, position: int | None, condition: str | None) -> Iterator[Any]:
    row = ExplanationBatchMeasureRow
    yield row.batch_id == batch_id
    if position is not None:
        yield row.model_position == position
    if condition is not None:
        yield row.key == condition


def _row(session: Session, batch_id: str) -> ExplanationBatchRow:
    row = session.get(ExplanationBatchRow, batch_id, populate_existing=True)
    if row is None:
        raise NotFound("A batch of explanations with this id", f"'{batch_id}' is none", "List the batches.")
    return row


def _models(session: Session, batch_ids: Sequence[str]) -> Sequence[ExplanationBatchModelRow]:
    row = ExplanationBatchModelRow
    query = select(row).where(row.batch_id.in_(batch_ids)).order_by(row.batch_id, row.position)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _change_model(session: Session, batch_id: str, position: int, **values: Any) -> None:
    row = ExplanationBatchModelRow
    session.execute(
        update(row)
        .where(row.batch_id == batch_id, row.position == position)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _dicts(session: Session, rows: Sequence[ExplanationBatchRow], *, full: bool) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    jobs = {job.explanation_batch_id: job for job in session.scalars(select(JobRow).where(_job_of(ids)))}
    counts = _counts(session, ids)
    models: dict[str, list[ExplanationBatchModelRow]] = {id: [] for id in ids}
    for each in _models(session, ids):
        models[each.batch_id].append(each)
    known = {each.model_id for each in _models(session, ids) if each.model_id}
    names = {id: name for id, name in session.execute(select(ModelRow.id, ModelRow.name).where(ModelRow.id.in_(known)))}  # noqa: C416
    return [
        {
            "id": row.id,
            "image_set": {"id": row.image_set_id, "name": row.image_set_name},
            "fingerprint": row.image_set_fingerprint,
            "part": row.part,
            "n_images": row.n_images,
            "settings": row.settings,
            "created_at": iso(row.created_at),
            "finished_at": iso(row.finished_at),
            "models": [_model_dict(each, names, full) for each in models[row.id]],
            **counts[row.id],
            "job": _job_dict(jobs.get(row.id)),
            "unreadable": unreadable_columns(row, *models[row.id]),
        }
        for row in rows
    ]


def _model_dict(row: ExplanationBatchModelRow, names: Mapping[str, str], full: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "position": row.position,
        "id": row.model_id,
        "name": names.get(row.model_id or "", row.name),
        "weights_sha256": row.weights_sha256,
    }
    return found | {"plan": row.plan, "summaries": row.result} if full else found


def _counts(session: Session, batch_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """{batch: {n_rows, n_left_out}}."""
    row = ExplanationBatchMeasureRow
    query = select(row.batch_id, func.count(), func.count(row.left_out)).where(row.batch_id.in_(batch_ids))
    found = {id: {"n_rows": 0, "n_left_out": 0} for id in batch_ids}
    for id, rows, left_out in session.execute(query.group_by(row.batch_id)):
        found[id] = {"n_rows": rows, "n_left_out": left_out}
    return found


def _job_of(batch_ids: Sequence[str]) -> Any:
    return JobRow.explanation_batch_id.in_(batch_ids)


def _job_dict(row: JobRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    shown = ("id", "state", "stage", "done", "total", "seconds_left", "note", "error")
    found = {name: getattr(row, name) for name in shown}
    return found | {"cancel_requested": row.state == "running" and row.cancel_requested_at is not None}
