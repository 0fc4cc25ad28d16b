"""The tables of explanations over whole image sets: what was asked, the models, and a row an image and condition."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, Name, Sha256, Word, key
from core.records.types import JsonList, JsonObject, now


class ExplanationBatchRow(Base):
    """One image set under several conditions, for one model or two.

    settings: as `core.explain.batch.BatchSettings` takes them. image_set_name, image_set_fingerprint: of the set as it
    was; the id is None once it was deleted.
    """

    __tablename__ = "explanation_batches"

    id: Mapped[str] = key()
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="SET NULL"), index=True)
    image_set_name: Mapped[str] = mapped_column(Name)
    image_set_fingerprint: Mapped[str] = mapped_column(Sha256)
    part: Mapped[str] = mapped_column(Word)
    n_images: Mapped[int]
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "created_at", "id"),)


class ExplanationBatchModelRow(Base):
    """A model of a batch. name, weights_sha256: as it was; the id is None once it was deleted.

    plan: which conditions were run, why others do not exist, and what was learned of patches, once that is known.
    result: the summaries, once all images are measured.
    """

    __tablename__ = "explanation_batch_models"

    batch_id: Mapped[str] = mapped_column(ForeignKey("explanation_batches.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"), index=True)
    name: Mapped[str] = mapped_column(Name)
    weights_sha256: Mapped[str] = mapped_column(Sha256)
    plan: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    result: Mapped[list[Any] | None] = mapped_column(JsonList(none_as_null=True))


class ExplanationBatchMeasureRow(Base):
    """What was measured on one image under one condition, as `core.explain.batch.run_batch` gives it.

    key: condition and number of vectors, such as "C1:4"; empty for an image that was left out, whose reason stands in
    `left_out`. image_position: in the part, from 0. image_sha256: the case, which stays when the image set goes.
    """

    __tablename__ = "explanation_batch_measures"

    batch_id: Mapped[str] = mapped_column(ForeignKey("explanation_batches.id", ondelete="CASCADE"), primary_key=True)
    model_position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image_position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Word, primary_key=True)
    image_id: Mapped[str | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"), index=True)
    image_sha256: Mapped[str] = mapped_column(Sha256)
    file: Mapped[str] = mapped_column(Text)
    class_name: Mapped[str] = mapped_column(Name)
    group_name: Mapped[str | None] = mapped_column(Text)
    left_out: Mapped[str | None] = mapped_column(Text)
    measures: Mapped[dict[str, Any]]
    measured_at: Mapped[datetime] = mapped_column(default=now)
