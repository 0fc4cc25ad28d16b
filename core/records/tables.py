"""Every table, in the nouns of the product. Rows hold facts and SHA-256 sums; bytes lie in files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, Id, Name, Sha256, Word, key, one_of
from core.records.batch_tables import ExplanationBatchMeasureRow, ExplanationBatchModelRow, ExplanationBatchRow
from core.records.description_tables import (
    DescriptionActionRow,
    DescriptionReviewRow,
    DescriptionRevisionRow,
    DescriptionRow,
    DescriptionSentenceRow,
    DescriptionSetRow,
    DescriptionTaskPartRow,
    DescriptionTaskRow,
    DescriptionVersionRow,
    UnsavedWordingRow,
)
from core.records.published_tables import PublishedResultRow
from core.records.types import JsonList, JsonObject, now

__all__ = [
    "ATTEMPT_STATES",
    "CELL_STATES",
    "DRAWN_ROLES",
    "JOB_STATES",
    "AttemptRow",
    "AuditEntryRow",
    "Base",
    "ClassificationImageRow",
    "ClassificationRow",
    "DescriptionActionRow",
    "DescriptionReviewRow",
    "DescriptionRevisionRow",
    "DescriptionRow",
    "DescriptionSentenceRow",
    "DescriptionSetRow",
    "DescriptionTaskPartRow",
    "DescriptionTaskRow",
    "DescriptionVersionRow",
    "EpochMetricRow",
    "ExperimentCellRow",
    "ExperimentRow",
    "ExplanationBatchMeasureRow",
    "ExplanationBatchModelRow",
    "ExplanationBatchRow",
    "ExplanationRow",
    "IdempotencyKeyRow",
    "ImageClassRow",
    "ImageProblemRow",
    "ImageRow",
    "ImageSetRow",
    "JobRow",
    "ModelRow",
    "PredictionRow",
    "PublishedResultRow",
    "RegionRow",
    "RunImageRow",
    "RunRow",
    "UnsavedWordingRow",
    "WorkerRow",
]

JOB_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
CELL_STATES = ("waiting", "running", "done", "failed")
DRAWN_ROLES = ("train", "validation")
SUBJECTS = ("run_id", "experiment_id", "description_task_id", "explanation_batch_id")
ONE_SUBJECT = " + ".join(f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in SUBJECTS) + " = 1"
ATTEMPT_STATES = ("running", "succeeded", "failed", "cancelled", "interrupted", "lost")

# image sets ------------------------------------------------------------------------------------------------------


class ImageSetRow(Base):
    """A named set of labelled images; its fingerprint says exactly which."""

    __tablename__ = "image_sets"

    id: Mapped[str] = key()
    name: Mapped[str] = mapped_column(Name, unique=True)
    modality: Mapped[str | None] = mapped_column(Name)
    source: Mapped[str] = mapped_column(Word)
    drawn: Mapped[bool] = mapped_column(default=False)
    fingerprint: Mapped[str] = mapped_column(Sha256, index=True)
    notes: Mapped[list[Any]] = mapped_column(default=list)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("source", ("upload", "folder", "demo")), Index(None, "created_at", "id"))


class ImageClassRow(Base):
    """A class of an image set. `label` is its place in the fixed order by which weights are saved."""

    __tablename__ = "image_classes"

    id: Mapped[str] = key()
    image_set_id: Mapped[str] = mapped_column(ForeignKey("image_sets.id", ondelete="CASCADE"))
    label: Mapped[int]
    name: Mapped[str] = mapped_column(Name)

    __table_args__ = (UniqueConstraint("image_set_id", "label"), UniqueConstraint("image_set_id", "name"))


class ImageRow(Base):
    """An image. Those sent only to be classified belong to no set and have no class and no part.

    file, mask_file: paths inside the image store, with forward slashes. windowing: how deep values are shown, empty for
    8 bits. findings: what the picture lacks; empty where nobody has looked.
    """

    __tablename__ = "images"

    id: Mapped[str] = key()
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="CASCADE"))
    class_id: Mapped[str | None] = mapped_column(ForeignKey("image_classes.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    part: Mapped[str | None] = mapped_column(String(5))
    group_name: Mapped[str | None] = mapped_column(Text)
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(Sha256, index=True)
    file: Mapped[str] = mapped_column(Text)
    mask_sha256: Mapped[str | None] = mapped_column(Sha256, index=True)
    mask_file: Mapped[str | None] = mapped_column(Text)
    windowing: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    findings: Mapped[list[Any] | None] = mapped_column(JsonList(none_as_null=True))

    __table_args__ = (
        one_of("part", ("train", "val", "test")),
        Index(None, "image_set_id", "id"),
        Index(None, "image_set_id", "class_id", "part", "id"),
    )


class RegionRow(Base):
    """A place marked on an image: shapes drawn on it in its pixels, or an uploaded mask.

    source: drawn or uploaded. mask_file: as of images.
    """

    __tablename__ = "regions"

    id: Mapped[str] = key()
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(8))
    shapes: Mapped[list[Any]] = mapped_column(default=list)
    marked_px: Mapped[int] = mapped_column()
    mask_sha256: Mapped[str] = mapped_column(Sha256, index=True)
    mask_file: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index(None, "image_id", "created_at", "id"),)


class ImageProblemRow(Base):
    """A file that was refused when an image set was read, and why."""

    __tablename__ = "image_problems"

    id: Mapped[str] = key()
    image_set_id: Mapped[str] = mapped_column(ForeignKey("image_sets.id", ondelete="CASCADE"))
    file: Mapped[str] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(Text)
    expected: Mapped[str] = mapped_column(Text)
    found: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index(None, "image_set_id", "id"),)


# runs and what they leave ----------------------------------------------------------------------------------------


class RunRow(Base):
    """One training: what was asked, and after sealing everything that was used and found.

    request: what was submitted, enough to train again. Columns after `sealed_at` are written once, together with it.
    shots: None means all training images. recipe: name, hash, deviations and notes of the published settings the run
    follows, if it follows any. leakage: what stands on both sides of the split, by kind. known_classes: those the
    backbone's text side had learned. intervals: of each metric, over test images. calibration: the images behind it and
    what they chose besides. These four are empty for runs older than the counts. The image set's name and fingerprint
    outlive the set. protocol, share: what was drawn and measured, and of which share of the labels (see
    `core.experiments`). parts: {part: {classes, metrics, confusion, ...}} of runs of an experiment, the ranked part
    first. precision: of the towers' arithmetic; unknown for older runs whose model is gone.
    """

    __tablename__ = "runs"

    id: Mapped[str] = key()
    name: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(default=now)
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="SET NULL"))
    image_set_name: Mapped[str] = mapped_column(Name)
    image_set_fingerprint: Mapped[str] = mapped_column(Sha256)
    description_version_id: Mapped[str | None] = mapped_column(
        ForeignKey("description_versions.id", ondelete="SET NULL"), index=True
    )
    method: Mapped[str] = mapped_column(Name)
    backbone: Mapped[str] = mapped_column(Name)
    variant: Mapped[str] = mapped_column(Word)
    shots: Mapped[int | None]
    seed: Mapped[int] = mapped_column(BigInteger)
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)
    protocol: Mapped[str] = mapped_column(Word, default="few-shot")
    share: Mapped[float | None] = mapped_column(Float(53))

    sealed_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    classes: Mapped[list[Any]] = mapped_column(default=list)
    backbone_checksum: Mapped[str | None] = mapped_column(Sha256)
    descriptions_source: Mapped[str | None] = mapped_column(Text)
    descriptions_fingerprint: Mapped[str | None] = mapped_column(Sha256)
    epochs: Mapped[int | None]
    steps: Mapped[int | None] = mapped_column(BigInteger)
    n_train: Mapped[int | None]
    n_val: Mapped[int | None]
    n_test: Mapped[int | None]
    metrics: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    confusion: Mapped[list[Any]] = mapped_column(default=list)
    per_class: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[list[Any]] = mapped_column(default=list)
    recipe: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    leakage: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    known_classes: Mapped[list[Any] | None] = mapped_column(JsonList(none_as_null=True))
    intervals: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    calibration: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    versions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    device: Mapped[str | None] = mapped_column(Name)
    seconds: Mapped[float | None] = mapped_column(Float(53))
    training_seconds: Mapped[float | None] = mapped_column(Float(53))
    feature_seconds: Mapped[float | None] = mapped_column(Float(53))
    encoded_pictures: Mapped[int | None]
    trained_together: Mapped[int | None]
    peak_mb: Mapped[float | None] = mapped_column(Float(53))
    temperature: Mapped[float | None] = mapped_column(Float(53))
    trainable_parameters: Mapped[int | None] = mapped_column(BigInteger)
    gflops_per_image: Mapped[float | None] = mapped_column(Float(53))
    unlabelled_images: Mapped[int | None]
    parts: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    precision: Mapped[str | None] = mapped_column(Word)

    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "image_set_id", "created_at", "id"),
        Index(None, "image_set_fingerprint", "backbone", "shots"),
        Index(None, "method", "backbone", "created_at"),
    )


class EpochMetricRow(Base):
    """What the training loop measured in one epoch, counted from 1."""

    __tablename__ = "epoch_metrics"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    loss: Mapped[float | None] = mapped_column(Float(53))
    terms: Mapped[dict[str, Any]] = mapped_column(default=dict)
    learning_rate: Mapped[float | None] = mapped_column(Float(53))
    train_accuracy: Mapped[float | None] = mapped_column(Float(53))


class RunImageRow(Base):
    """An image that a run learned from, tuned on or was calibrated with. It is named by its content, so that the draw
    outlives the image set.
    """

    __tablename__ = "run_images"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(10), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image_id: Mapped[str | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"), index=True)
    sha256: Mapped[str] = mapped_column(Sha256)

    __table_args__ = (one_of("role", DRAWN_ROLES),)


class PredictionRow(Base):
    """What a run said about one image.

    part: "test", or another that the run's protocol measures; `position` counts in it from 0. sha256: the case, which
    stays when the image set goes. group_name: its patient, where known. Names that the model chose from are the keys of
    `probabilities`; those of the image set stand in the run's `parts`.
    """

    __tablename__ = "predictions"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[str] = mapped_column(Name, primary_key=True, default="test")
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image_id: Mapped[str | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"), index=True)
    sha256: Mapped[str | None] = mapped_column(Sha256)
    group_name: Mapped[str | None] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Name)
    predicted: Mapped[str] = mapped_column(Name)
    probabilities: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ModelRow(Base):
    """A trained model. `folder` is its folder inside the home's models; the sum is that of its weight file."""

    __tablename__ = "models"

    id: Mapped[str] = key()
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    name: Mapped[str] = mapped_column(Name)
    folder: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(Sha256, index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    card: Mapped[dict[str, Any]] = mapped_column(default=dict)
    calibrated: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index(None, "created_at", "id"),)


# experiments -----------------------------------------------------------------------------------------------------


class ExperimentRow(Base):
    """A comparison: which lines are trained on which images, how often, and how they are measured.

    spec: as `core.experiments.spec.ExperimentSpec.as_dict` gives it, image sets by their names here. hash: over the
    spec, the contents of its image sets and its wordings, whatever they are called. sources: the ids of "images" and
    "targets" by these names. texts: {wording: {image set, or "" for all: {source, version_id, sentences}}} of that
    moment.
    """

    __tablename__ = "experiments"

    id: Mapped[str] = key()
    name: Mapped[str] = mapped_column(Name, unique=True)
    protocol: Mapped[str] = mapped_column(Word)
    backbone: Mapped[str] = mapped_column(Name)
    hash: Mapped[str] = mapped_column(Sha256, index=True)
    spec: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sources: Mapped[dict[str, Any]] = mapped_column(default=dict)
    texts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index(None, "created_at", "id"),)


class ExperimentCellRow(Base):
    """One training of an experiment.

    position: its place, from 0. hash: the name of its result, known once a process with the backbone has looked at it.
    run_id: the run that holds the result, which cells of several experiments may share. claim: who works on it now, and
    the id of the run it will leave; holder: that process, and its job and fence if it has one. attempts: how often its
    training was begun.
    """

    __tablename__ = "experiment_cells"

    id: Mapped[str] = key()
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    position: Mapped[int]
    hash: Mapped[str | None] = mapped_column(Sha256)
    state: Mapped[str] = mapped_column(Word, default="waiting")
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="SET NULL"), index=True)
    image_set_name: Mapped[str] = mapped_column(Name)
    image_set_fingerprint: Mapped[str] = mapped_column(Sha256)
    line: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Name)
    shots: Mapped[int | None]
    share: Mapped[float | None] = mapped_column(Float(53))
    seed: Mapped[int] = mapped_column(BigInteger)
    descriptions: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    reused: Mapped[bool] = mapped_column(default=False)
    claim: Mapped[str | None] = mapped_column(Id)
    holder: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    heartbeat_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("state", CELL_STATES),
        UniqueConstraint("experiment_id", "position"),
        Index(None, "experiment_id", "state", "position"),
        Index(None, "hash", "state"),
    )


# jobs ------------------------------------------------------------------------------------------------------------


class JobRow(Base):
    """Work in the queue, for one run, one experiment, one task about descriptions or one batch of explanations. `fence`
    grows with every claim: who holds an older number may no longer write. note: what is to be said of it besides stage
    and numbers, such as the cell at work.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = key()
    kind: Mapped[str] = mapped_column(Word, default="train")
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    experiment_id: Mapped[str | None] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    description_task_id: Mapped[str | None] = mapped_column(
        ForeignKey("description_tasks.id", ondelete="CASCADE"), unique=True
    )
    explanation_batch_id: Mapped[str | None] = mapped_column(
        ForeignKey("explanation_batches.id", ondelete="CASCADE"), unique=True
    )
    label: Mapped[str] = mapped_column(Name)
    state: Mapped[str] = mapped_column(Word, default="queued")
    fence: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    queued_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    stage: Mapped[str | None] = mapped_column(Word)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int | None]
    epochs: Mapped[int | None]
    seconds_per_epoch: Mapped[float | None] = mapped_column(Float(53))
    seconds_left: Mapped[float | None] = mapped_column(Float(53))
    note: Mapped[str | None] = mapped_column(Text)
    error: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))

    __table_args__ = (
        one_of("state", JOB_STATES),
        CheckConstraint(ONE_SUBJECT, name="one_subject"),
        Index(None, "experiment_id", "created_at", "id"),
        Index(None, "state", "queued_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "state", "created_at", "id"),
    )


class AttemptRow(Base):
    """One process that worked on a job. host: where its pid means something. slot: the device it was given."""

    __tablename__ = "attempts"

    id: Mapped[str] = key()
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    fence: Mapped[int]
    state: Mapped[str] = mapped_column(Word, default="running")
    executor: Mapped[str] = mapped_column(Word)
    host: Mapped[str] = mapped_column(Name)
    slot: Mapped[int] = mapped_column(default=0)
    pid: Mapped[int | None] = mapped_column(BigInteger)
    pid_started: Mapped[str | None] = mapped_column(Name)
    external_id: Mapped[str | None] = mapped_column(Name)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))

    __table_args__ = (
        one_of("state", ATTEMPT_STATES),
        UniqueConstraint("job_id", "number"),
        Index(None, "state", "host"),
    )


class WorkerRow(Base):
    """A worker that takes jobs from the queue; its heartbeat tells the site that somebody does."""

    __tablename__ = "workers"

    id: Mapped[str] = key()
    host: Mapped[str] = mapped_column(Name)
    pid: Mapped[int] = mapped_column(BigInteger)
    executor: Mapped[str] = mapped_column(Word)
    slots: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(default=now)
    heartbeat_at: Mapped[datetime] = mapped_column(default=now, index=True)


# use of models ---------------------------------------------------------------------------------------------------


class ClassificationRow(Base):
    """New images sent to a model, and the files among them that could not be used."""

    __tablename__ = "classifications"

    id: Mapped[str] = key()
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"))
    model_name: Mapped[str] = mapped_column(Name)
    weights_sha256: Mapped[str] = mapped_column(Sha256)
    problems: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index(None, "created_at", "id"), Index(None, "model_id", "created_at", "id"))


class ClassificationImageRow(Base):
    """The answer for one image of a classification.

    judged: set, set_reason, abstain and outside as the model gave them; empty for answers from before these were kept.
    """

    __tablename__ = "classification_images"

    classification_id: Mapped[str] = mapped_column(
        ForeignKey("classifications.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(Name)
    probabilities: Mapped[dict[str, Any]] = mapped_column(default=dict)
    judged: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))


class ExplanationRow(Base):
    """Where a model looked in one image. result: all that is shown; folder: its files, inside the home folder.

    image_sha256, weights_sha256: of the image's file and the model's weights. explainer: whose map leads, empty where
    no map could be made. settings: its options and what was compared. rules: those of `core.explain.parts`.
    """

    __tablename__ = "explanations"

    id: Mapped[str] = key()
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    class_name: Mapped[str] = mapped_column(Name)
    image_sha256: Mapped[str | None] = mapped_column(Sha256, index=True)
    weights_sha256: Mapped[str | None] = mapped_column(Sha256)
    explainer: Mapped[str | None] = mapped_column(Word)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    rules: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(Float(53))
    folder: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "model_id", "image_id", "class_name"),
        Index(None, "model_id", "created_at", "id"),
    )


# traces ----------------------------------------------------------------------------------------------------------


class AuditEntryRow(Base):
    """Who did what to which thing. `detail` holds ids and numbers, never image contents or file names."""

    __tablename__ = "audit_entries"

    id: Mapped[str] = key()
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(Name)
    action: Mapped[str] = mapped_column(Word)
    noun: Mapped[str] = mapped_column(Word)
    noun_id: Mapped[str] = mapped_column(Name)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)

    __table_args__ = (Index(None, "at", "id"), Index(None, "noun", "noun_id", "at"))


class IdempotencyKeyRow(Base):
    """The answer once given to a request with a key, so that sending it twice does it once.

    status is empty while the first request is still at work; response then holds what came of its writings. owner:
    which server works on it; one that is gone left the key free.
    """

    __tablename__ = "idempotency_keys"

    id: Mapped[str] = key()
    method: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Name)
    request_sha256: Mapped[str] = mapped_column(Sha256)
    owner: Mapped[str | None] = mapped_column(Name)
    status: Mapped[int | None]
    response: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)

    __table_args__ = (UniqueConstraint("method", "path", "key"),)
