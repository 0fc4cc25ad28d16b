"""Runs: what was asked, sealed with everything that was used and found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, defer

from core.errors import Conflict, NotFound
from core.records.contents import job_path, model_path
from core.records.description_use import with_description_versions
from core.records.ids import new_id
from core.records.image_sets import hold_image_set
from core.records.tables import (
    DRAWN_ROLES,
    EpochMetricRow,
    ExperimentCellRow,
    ExplanationRow,
    ImageRow,
    JobRow,
    ModelRow,
    PredictionRow,
    RunImageRow,
    RunRow,
)
from core.records.types import check_finite, iso, now, unreadable_columns
from core.text import shown

DETAILS = ("versions", "confusion", "per_class", "request", "parts")
"""What only the record of a single run shows."""
RANKED_PARTS = ("test", "base")
"""Parts of a run that its metrics are of."""
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece")


@dataclass(frozen=True)
class RunRequest:
    """What a person asked to be trained. shots None: all training images. values None: the method's default; recipe
    None: no publication is followed.
    """

    image_set: str
    method: str
    backbone: str = "embedded"
    variant: str = "default"
    recipe: str | None = None
    shots: int | None = 16
    seed: int = 1
    epochs: int | None = None
    views: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    description_version_id: str | None = None
    modality: str | None = None
    template: str | None = None
    allow_leakage: bool = False
    name: str | None = None

    @property
    def label(self) -> str:
        """How people tell this run from others."""
        shots = "all images" if self.shots is None else f"{self.shots} shots"
        return self.name or f"{self.method}, {shots}, seed {self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"options": dict(self.options)}


@dataclass(frozen=True)
class EpochMetric:
    """What the loop measured in one epoch, counted from 1. Raises InvalidInput where that is no number."""

    epoch: int
    loss: float | None
    terms: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    train_accuracy: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.loss, self.learning_rate, self.train_accuracy, dict(self.terms))
        check_finite(numbers, f"Epoch {self.epoch}", "The training diverged: choose a smaller learning rate.")

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "terms": dict(self.terms),
            "learning_rate": self.learning_rate,
            "train_accuracy": self.train_accuracy,
        }


def add_run(
    session: Session,
    request: RunRequest,
    *,
    run_id: str | None = None,
    protocol: str = "few-shot",
    share: float | None = None,
) -> str:
    """Record what was asked and return the run's id. Raises NotFound if the image set does not exist.

    run_id: a new one where its model folder has been named before its row is made.
    """
    image_set = hold_image_set(session, request.image_set)
    run = RunRow(
        id=run_id or new_id(),
        name=request.label,
        image_set_id=image_set.id,
        image_set_name=image_set.name,
        image_set_fingerprint=image_set.fingerprint,
        description_version_id=request.description_version_id,
        method=request.method,
        backbone=request.backbone,
        variant=request.variant,
        shots=request.shots,
        seed=request.seed,
        options=dict(request.options),
        epochs=request.epochs,
        request=request.as_dict() | {"image_set": image_set.id},
        protocol=protocol,
        share=share,
    )
    session.add(run)
    session.flush()
    return run.id


def find_run(session: Session, run_id: str) -> RunRow:
    """The row of a run. Raises NotFound."""
    row = session.get(RunRow, run_id)
    if row is None:
        raise NotFound("A run with this id", f"'{run_id}' is none", "List the runs to see their ids.")
    return row


def load_request(session: Session, run_id: str) -> RunRequest:
    """What was asked, as it was recorded. Raises NotFound."""
    return RunRequest(**find_run(session, run_id).request)


DIVERGED = "The trained weights give no numbers: train again with a smaller learning rate."


def seal_run(
    session: Session,
    run_id: str,
    record: Mapping[str, Any],
    predictions: Iterable[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]] = (),
    drawn: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    *,
    elsewhere: Mapping[str, str] | None = None,
) -> None:
    """Write what a training used and found, once. Raises Conflict for a run that is sealed already.

    record: as training gives it, with the keys of the columns. predictions: file, label, predicted, probabilities and
    where known sha256 and group, one each test image; or such rows by part. drawn: file and sha256 of the images it
    learned from, by role. elsewhere: ids of the image sets of parts that were not measured on the run's own. Raises
    InvalidInput for results that are no numbers.
    """
    parts = dict(predictions) if isinstance(predictions, Mapping) else {"test": list(predictions)}
    results = {name: record.get(name) for name in ("metrics", "per_class", "confusion", "temperature")}
    check_finite(results, "The run's result", DIVERGED)
    for each in chain.from_iterable(parts.values()):
        check_finite(each["probabilities"], f"The answer for '{shown(str(each['file']))}'", DIVERGED)
    facts = {name: record[name] for name in _RECORDED if record.get(name) is not None}
    sealed = session.execute(
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.sealed_at.is_(None))
        .values(
            **facts,
            sealed_at=now(),
            backbone=record.get("backbone", RunRow.backbone),
            variant=record.get("variant", RunRow.variant),
            descriptions_source=record.get("descriptions"),
            descriptions_fingerprint=record.get("descriptions_fingerprint"),
        )
        .returning(RunRow.image_set_id)
    ).first()
    if sealed is None:
        find_run(session, run_id)
        raise Conflict("A run is sealed once", "this one is sealed already", "Train again to get another run.")
    for part, rows in parts.items():
        _add_predictions(session, run_id, (elsewhere or {}).get(part, sealed.image_set_id), part, rows)
    _add_drawn(session, run_id, sealed.image_set_id, drawn or {})


_RECORDED = (
    "options",
    "classes",
    "backbone_checksum",
    "epochs",
    "steps",
    "n_train",
    "n_val",
    "n_test",
    "metrics",
    "confusion",
    "per_class",
    "notes",
    "recipe",
    "leakage",
    "known_classes",
    "intervals",
    "calibration",
    "versions",
    "device",
    "seconds",
    "training_seconds",
    "feature_seconds",
    "encoded_pictures",
    "trained_together",
    "peak_mb",
    "temperature",
    "trainable_parameters",
    "gflops_per_image",
    "unlabelled_images",
    "protocol",
    "share",
    "parts",
    "precision",
)


def write_epoch_metrics(session: Session, run_id: str, metrics: Sequence[EpochMetric]) -> None:
    """Keep what epochs measured; an epoch that a resumed training repeats is replaced."""
    by_epoch = {metric.epoch: metric for metric in metrics}
    if not by_epoch:
        return
    mine = EpochMetricRow.run_id == run_id
    session.execute(delete(EpochMetricRow).where(mine, EpochMetricRow.epoch.in_(list(by_epoch))))
    rows = [{"run_id": run_id, **metric.as_dict()} for metric in by_epoch.values()]
    session.execute(insert(EpochMetricRow), rows)


def epoch_metrics(session: Session, run_id: str, limit: int | None = None, offset: int = 0) -> list[dict[str, Any]]:
    """epoch, loss, terms, learning_rate, train_accuracy, in the order of epochs."""
    query = select(EpochMetricRow).where(EpochMetricRow.run_id == run_id).order_by(EpochMetricRow.epoch)
    return [
        {
            "epoch": row.epoch,
            "loss": row.loss,
            "terms": row.terms,
            "learning_rate": row.learning_rate,
            "train_accuracy": row.train_accuracy,
        }
        for row in session.scalars(query.limit(limit).offset(offset))
    ]


def count_epochs(session: Session, run_id: str) -> int:
    """How many epochs of a run were measured."""
    return session.scalar(select(func.count()).where(EpochMetricRow.run_id == run_id)) or 0


def list_predictions(
    session: Session, run_id: str, offset: int = 0, limit: int | None = None, *, part: str | None = None
) -> list[dict[str, Any]]:
    """What the run said about images: part, file, image_id, sha256, group, label, predicted, probabilities.

    part: one of those it was measured on; None gives all, one after the other.
    """
    query = select(PredictionRow).where(PredictionRow.run_id == run_id)
    query = query if part is None else query.where(PredictionRow.part == part)
    query = query.order_by(PredictionRow.part, PredictionRow.position)
    return [
        {
            "part": row.part,
            "file": row.file,
            "image_id": row.image_id,
            "sha256": row.sha256,
            "group": row.group_name,
            "label": row.label,
            "predicted": row.predicted,
            "probabilities": row.probabilities,
        }
        for row in session.scalars(query.offset(offset).limit(limit))
    ]


def count_predictions(session: Session, run_ids: Sequence[str]) -> int:
    """How many predictions runs have in all."""
    query = select(func.count()).select_from(PredictionRow).where(PredictionRow.run_id.in_(run_ids))
    return session.scalar(query) or 0


def list_drawn(session: Session, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """The images a run learned from, by role ("train", "validation"): image_id (None once deleted) and sha256."""
    query = select(RunImageRow).where(RunImageRow.run_id == run_id).order_by(RunImageRow.role, RunImageRow.position)
    found: dict[str, list[dict[str, Any]]] = {role: [] for role in DRAWN_ROLES}
    for row in session.scalars(query):
        found[row.role].append({"image_id": row.image_id, "sha256": row.sha256})
    return found


def list_runs(
    session: Session,
    image_set_id: str | None = None,
    *,
    run_ids: Sequence[str] | None = None,
    sealed_only: bool = False,
    details: Sequence[str] = (),
    limit: int = 500,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Runs, the newest first, in the shape of `run_dict` without epoch metrics, and of DETAILS with those named."""
    left_out = [name for name in DETAILS if name not in details]
    query = _runs().options(*(defer(getattr(RunRow, name), raiseload=True) for name in left_out))
    query = query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit).offset(offset)
    query = query if image_set_id is None else query.where(RunRow.image_set_id == image_set_id)
    query = query if run_ids is None else query.where(RunRow.id.in_(run_ids))
    query = query.where(RunRow.sealed_at.is_not(None)) if sealed_only else query
    found = [_told(row, details) for row in session.execute(query)]
    return with_description_versions(session, found)


def count_runs(session: Session, image_set_id: str | None = None) -> int:
    """How many runs `list_runs` would give over all pages."""
    query = select(func.count(RunRow.id))
    return session.scalar(query if image_set_id is None else query.where(RunRow.image_set_id == image_set_id)) or 0


def last_comparable(session: Session, method: str, backbone: str) -> RunRow | None:
    """The newest sealed run of a method on a backbone that says how long it took."""
    query = select(RunRow).where(RunRow.method == method, RunRow.backbone == backbone, RunRow.seconds > 0)
    query = query.where(RunRow.sealed_at.is_not(None)).order_by(RunRow.created_at.desc(), RunRow.id.desc())
    return session.scalar(query.limit(1))


def delete_run(session: Session, run_id: str) -> list[str]:
    """Forget a run with its epochs, predictions, draw, job, model and explanations; returns their folders, as paths in
    the home folder. Cells of experiments that had it as their result wait again.

    Called through `app.services.contents.remove`, which removes the folders. Raises NotFound, or Conflict while the
    run's job is queued or running.
    """
    run = find_run(session, run_id)
    job = session.scalar(select(JobRow).where(JobRow.run_id == run.id).with_for_update())
    if job is not None and job.state in ("queued", "running"):
        raise Conflict(
            "A run is deleted when no job works on it",
            f"its job '{shown(job.label)}' is {job.state}",
            "Cancel the job first, or wait until it is done.",
        )
    model = session.scalar(select(ModelRow).where(ModelRow.run_id == run.id))
    explained = select(ExplanationRow.folder).join(ModelRow, ExplanationRow.model_id == ModelRow.id)
    paths = [*session.scalars(explained.where(ModelRow.run_id == run.id))]
    # a training that failed while it wrote leaves a folder under the run's id
    paths += [model_path(run.id), *([model_path(model.folder)] if model else []), *([job_path(job.id)] if job else [])]
    # a cell without its result is computed again when its experiment goes on
    session.execute(
        update(ExperimentCellRow)
        .where(ExperimentCellRow.run_id == run.id)
        .values(state="waiting", run_id=None, reused=False, finished_at=None, seconds=None)
    )
    session.delete(run)
    session.flush()
    return paths


def run_dict(session: Session, run_id: str) -> dict[str, Any]:
    """One run with its epoch metrics. `metrics` is None until it is sealed. Raises NotFound."""
    row = session.execute(_runs().where(RunRow.id == run_id)).first()
    if row is None:
        raise NotFound("A run with this id", f"'{run_id}' is none", "List the runs to see their ids.")
    (told,) = with_description_versions(session, [_told(row, DETAILS)])
    return told | {"epoch_metrics": epoch_metrics(session, run_id)}


def _runs() -> Select[RunRow, str, str, str]:
    return (
        select(RunRow, JobRow.id, JobRow.state, ModelRow.id)
        .outerjoin(JobRow, JobRow.run_id == RunRow.id)
        .outerjoin(ModelRow, ModelRow.run_id == RunRow.id)
    )


def _add_predictions(
    session: Session, run_id: str, image_set_id: str | None, part: str, predictions: Sequence[Mapping[str, Any]]
) -> None:
    if not predictions:
        return
    known = _images(session, image_set_id, ImageRow.part == "test")
    rows = [
        {
            "run_id": run_id,
            "part": part,
            "position": position,
            **_case(each, known.get(str(each["file"]))),
            "file": str(each["file"]),
            "label": each["label"],
            "predicted": each["predicted"],
            "probabilities": each["probabilities"],
        }
        for position, each in enumerate(predictions)
    ]
    session.execute(insert(PredictionRow), rows)


def _add_drawn(
    session: Session, run_id: str, image_set_id: str | None, drawn: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    known = _images(session, image_set_id, ImageRow.part != "test") if any(drawn.values()) else {}
    rows = [
        {
            "run_id": run_id,
            "role": role,
            "position": position,
            "image_id": known[each["file"]].id if each["file"] in known else None,
            "sha256": each["sha256"],
        }
        for role, images in drawn.items()
        for position, each in enumerate(images)
    ]
    if rows:
        session.execute(insert(RunImageRow), rows)


def _images(session: Session, image_set_id: str | None, condition: Any) -> dict[str, Any]:
    """id, sha256 and group_name of a set's images by their name."""
    if image_set_id is None:
        return {}
    query = select(ImageRow.name, ImageRow.id, ImageRow.sha256, ImageRow.group_name)
    return {row.name: row for row in session.execute(query.where(ImageRow.image_set_id == image_set_id, condition))}


def _case(answer: Mapping[str, Any], image: Any) -> dict[str, Any]:
    """Which case an answer is about; its own words count, where it has any, before those of the recorded image."""
    return {
        "image_id": image.id if image else None,
        "sha256": answer.get("sha256") or (image.sha256 if image else None),
        "group_name": answer.get("group") or (image.group_name if image else None),
    }


def _told(row: Row[RunRow, str, str, str], details: Sequence[str]) -> dict[str, Any]:
    return _short(row) | {name: getattr(row[0], name) for name in details}


def _short(row: Row[RunRow, str, str, str]) -> dict[str, Any]:
    run, job_id, job_state, model_id = row
    return {
        "id": run.id,
        "name": run.name,
        "job_id": job_id,
        "state": "succeeded" if run.sealed_at else job_state,
        "created_at": iso(run.created_at),
        "sealed_at": iso(run.sealed_at),
        "method": run.method,
        "backbone": run.backbone,
        "backbone_checksum": run.backbone_checksum,
        "variant": run.variant,
        "recipe": run.recipe,
        "leakage": run.leakage,
        "known_classes": run.known_classes,
        "intervals": run.intervals,
        "calibration": run.calibration,
        "image_set": {"id": run.image_set_id, "name": run.image_set_name},
        "image_set_fingerprint": run.image_set_fingerprint,
        "protocol": run.protocol,
        "shots": run.shots,
        "share": run.share,
        "seed": run.seed,
        "options": run.options,
        "epochs": run.epochs,
        "steps": run.steps,
        "seconds": run.seconds,
        "training_seconds": run.training_seconds,
        "feature_seconds": run.feature_seconds,
        "encoded_pictures": run.encoded_pictures,
        "trained_together": run.trained_together,
        "peak_mb": run.peak_mb,
        "device": run.device,
        "precision": run.precision,
        "n_train": run.n_train,
        "n_val": run.n_val,
        "n_test": run.n_test,
        "classes": run.classes,
        "metrics": run.metrics,
        "temperature": run.temperature,
        "trainable_parameters": run.trainable_parameters,
        "gflops_per_image": run.gflops_per_image,
        "unlabelled_images": run.unlabelled_images,
        "descriptions": run.descriptions_source,
        "descriptions_fingerprint": run.descriptions_fingerprint,
        "description_version_id": run.description_version_id,
        "model_id": model_id,
        "notes": run.notes,
        "unreadable": unreadable_columns(run),
    }
