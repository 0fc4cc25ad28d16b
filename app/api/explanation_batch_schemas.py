"""Shapes of requests and answers about explanations over whole image sets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.schemas import Answer, Body, Named, Page
from app.api.values import NoBool, Number, Whole, Word

Part = Literal["train", "val", "test"]
MOST_VECTORS = 16
MOST_CONDITIONS = 40


class NewExplanationBatch(Body):
    """What is measured: a set, one model or two, and under which conditions."""

    image_set: Word = Field(description="Id or name; with lesion masks where something is to be said of lesions.")
    models: Annotated[list[Word], Field(min_length=1, max_length=2)] = Field(description="Ids or names.")
    part: Part = "test"
    conditions: Annotated[list[Word], Field(max_length=MOST_CONDITIONS)] = Field(
        default_factory=list, description="Ids, such as C1; without them the standard ones. C0 is always among them."
    )
    vectors: Annotated[
        list[Annotated[int, Whole, Field(ge=0, le=MOST_VECTORS)]], Field(min_length=1, max_length=MOST_VECTORS + 1)
    ] = Field(default=[4], description="How many vectors or patches to try.")
    by_block: bool = Field(default=False, description="Zeros at each block alone, too.")
    margin: Annotated[float, NoBool, Field(gt=0, le=1)] = Field(
        default=0.01, description="The change of the lesion's share that matters, stated beforehand."
    )
    seed: Number = 0


class Condition(Answer):
    """A condition that can be asked for. counted: whether it depends on the number of vectors."""

    id: str
    title: str
    isolates: str
    counted: bool
    standard: bool
    calibrated: bool = Field(description="Whether it is made of what patches look like on images outside the part.")


class ConditionList(Page):
    """Conditions."""

    items: list[Condition]


class BatchJob(Answer):
    """The job of a batch, and how far it is: done and total count images times conditions."""

    id: str
    state: str
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    seconds_left: float | None = None
    note: str | None = None
    error: dict[str, Any] | None = None
    cancel_requested: bool = False


class BatchModel(Answer):
    """A model of a batch with its plan and summaries, as they are known. position: from 0."""

    position: int
    id: str | None = Field(default=None, description="Null once the model was deleted.")
    name: str
    weights_sha256: str | None = None
    plan: dict[str, Any] | None = Field(
        default=None, description="Conditions that are run, why others do not exist, and what patches look like."
    )
    summaries: list[dict[str, Any]] | None = Field(
        default=None,
        description="One a condition: condition, n, groups, lesion_share, background_share, difference, low, high, p, "
        "hit_rate, answer_changed and more. Where patients are known, by_image holds ranges drawn by image.",
    )


class ExplanationBatch(Answer):
    """A set under several conditions: what was asked, how far it is, and what came of it."""

    id: str
    image_set: Named
    fingerprint: str | None = None
    part: str
    n_images: int
    settings: dict[str, Any] | None = None
    created_at: str | None = None
    finished_at: str | None = None
    models: list[BatchModel]
    n_rows: int = Field(description="Rows so far.")
    n_left_out: int
    job: BatchJob | None = None


class ExplanationBatchList(Page):
    """Batches in short, newest first."""

    items: list[ExplanationBatch]


class BatchRow(Answer):
    """What was measured on one image under one condition; of one that was left out, why."""

    model_position: int
    image: str
    image_id: str | None = Field(default=None, description="Null once the image was deleted.")
    image_sha256: str | None = None
    key: str
    left_out: str | None = None


class BatchRowList(Page):
    """Rows in the order of models and images."""

    items: list[BatchRow]
