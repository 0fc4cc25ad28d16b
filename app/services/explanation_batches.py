"""Batches of explanations: a whole image set under several conditions, asked for as a job and read as tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.services.context import ACTOR, Context
from app.services.jobs import cancel_job
from core.errors import Conflict, InvalidOption, NotFound, TooFewImages
from core.images.labelled_image import PARTS
from core.records import audit, image_sets
from core.records import explanation_batches as records
from core.records import models as model_records
from core.text import shown
from training_jobs import job_queue

Table = Literal["summaries", "rows"]
TABLES: tuple[Table, ...] = ("summaries", "rows")
LONGEST_LABEL = 300
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Texts that a spreadsheet would run."""


@dataclass(frozen=True)
class BatchWish:
    """What is asked for. image_set: id or name. models: one or two, by id, run id or name.

    The others are those of `core.explain.batch.BatchSettings`; without conditions the standard ones.
    """

    image_set: str
    models: tuple[str, ...]
    part: str = "test"
    conditions: tuple[str, ...] = ()
    vectors: tuple[int, ...] = (4,)
    by_block: bool = False
    margin: float = 0.01
    seed: int = 0


def conditions(ctx: Context) -> list[dict[str, Any]]:
    """Conditions that can be asked for: id, title, isolates, counted, standard; and whether one needs calibration."""
    from core.explain.conditions import CALIBRATED, CONDITIONS

    return [
        {
            "id": each.id,
            "title": each.title.format(k="k", s="s", es="es"),
            "isolates": each.isolates,
            "counted": each.counted,
            "standard": each.standard,
            "calibrated": each.id in CALIBRATED,
        }
        for each in CONDITIONS.values()
    ]


def start(ctx: Context, wish: BatchWish) -> dict[str, Any]:
    """Record a batch, queue its job and give it. Raises NotFound, InvalidOption, TooFewImages."""
    from core.explain.batch import BatchSettings
    from core.explain.conditions import MOST_VECTORS, chosen_conditions

    if wish.part not in PARTS:
        raise InvalidOption(f"A part among {', '.join(PARTS)}", f"found '{wish.part}'")
    if not 1 <= len(wish.models) <= 2:
        raise InvalidOption("One model or two", f"found {len(wish.models)}")
    if not wish.margin > 0:
        raise InvalidOption("A margin above 0", f"found {wish.margin:g}")
    vectors = tuple(sorted(set(wish.vectors)))
    if not vectors or not 0 <= vectors[0] <= vectors[-1] <= MOST_VECTORS:
        raise InvalidOption(f"0 to {MOST_VECTORS} vectors", f"found {', '.join(map(str, vectors)) or 'none'}")
    chosen_conditions(wish.conditions, 0)
    settings = asdict(
        BatchSettings(vectors, tuple(dict.fromkeys(wish.conditions)), wish.by_block, wish.seed, margin=wish.margin)
    )

    def work(session: Session) -> str:
        images = image_sets.image_set_dict(session, image_sets.hold_image_set(session, wish.image_set).id)
        n_images = image_sets.count_images(session, images["id"], part=wish.part)
        if not n_images:
            raise TooFewImages(
                f"Images in the part '{wish.part}'", f"'{shown(images['name'], 60)}' has none", "Choose another part."
            )
        models = _models(session, wish.models)
        made = records.add_batch(
            session, image_set=images, part=wish.part, n_images=n_images, settings=settings, models=models
        )
        names = " and ".join(model["name"] for model in models)
        job_queue.enqueue_batch(session, made, f"{images['name']}, {wish.part}: {names}"[:LONGEST_LABEL])
        audit.add_audit_entry(session, ACTOR, "measure", "explanation_batch", made)
        return made

    return get(ctx, ctx.db.write(work))


def _models(session: Session, wanted: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for each in wanted:
        try:
            found.append(model_records.model_dict(session, each))
        except NotFound:
            by_name = model_records.find_model_by_name(session, each)
            found.append(model_records.model_dict(session, by_name.id))
    if len({model["id"] for model in found}) < len(found):
        raise InvalidOption("Two different models", "found one twice")
    return found


def get(ctx: Context, batch_id: str) -> dict[str, Any]:
    """One batch: what was asked, how far it is, and for each model its plan and summaries. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.batch_dict(session, str(batch_id))


def list_batches(ctx: Context, limit: int = 50, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Batches in short, newest first, and how many there are."""
    with ctx.db.reading() as session:
        return records.list_batches(session, limit, offset), records.count_batches(session)


def list_rows(
    ctx: Context,
    batch_id: str,
    model: int | None = None,
    condition: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[dict[str, Any]], int]:
    """Rows an image and condition, and how many there are. model: position of one of the batch. Raises NotFound."""
    with ctx.db.reading() as session:
        found = records.find_batch(session, str(batch_id))
        rows = records.list_measures(session, found.id, model, condition, limit, offset)
        return rows, records.count_measures(session, found.id, model, condition)


def cancel(ctx: Context, batch_id: str) -> dict[str, Any]:
    """Stop the job of a batch; what is measured stays. Raises NotFound, Conflict where it has ended."""
    cancel_job(ctx, _job(ctx, batch_id))
    return get(ctx, batch_id)


def resume(ctx: Context, batch_id: str) -> dict[str, Any]:
    """Queue a cancelled or failed batch again; what is measured is not measured anew. Raises NotFound, Conflict."""
    job_id = _job(ctx, batch_id)
    with ctx.db.writing() as session:
        job_queue.retry(session, job_id)
        audit.add_audit_entry(session, ACTOR, "retry", "job", job_id)
    return get(ctx, batch_id)


def delete(ctx: Context, batch_id: str) -> dict[str, Any]:
    """Delete a batch with its rows. Raises NotFound, Conflict while its job is queued or running."""
    with ctx.db.writing() as session:
        records.delete_batch(session, str(batch_id))
        audit.add_audit_entry(session, ACTOR, "delete", "explanation_batch", str(batch_id))
    return {"deleted": str(batch_id)}


def table(ctx: Context, batch_id: str, kind: str) -> str:
    """Rows or summaries as CSV with a header, nested values as JSON. Raises NotFound for another kind."""
    if kind not in TABLES:
        raise NotFound(f"A table among {', '.join(TABLES)}", f"found '{kind}'", "Ask for one of them.")
    batch = get(ctx, batch_id)
    names = {model["position"]: model["name"] for model in batch["models"]}
    if kind == "rows":
        rows, _ = list_rows(ctx, batch_id)
        told = [{"model": names.get(row.pop("model_position")), **row} for row in rows]
    else:
        told = [
            {"model": model["name"], "part": batch["part"], **summary}
            for model in batch["models"]
            for summary in model["summaries"] or []
        ]
    for row in told:
        for name in ("unreadable", "by_image"):
            row.pop(name, None)
    return _csv(told)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _job(ctx: Context, batch_id: str) -> str:
    job = get(ctx, batch_id)["job"]
    if job is None:
        raise Conflict("A batch with a job", "this one has none", "Ask for the batch again.")
    return str(job["id"])
