"""Trained models: where their folder is, what they were trained on, and how well they did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session, defer, load_only

from core.errors import NotFound
from core.records.contents import model_path
from core.records.description_use import with_description_versions
from core.records.ids import new_id
from core.records.tables import ExplanationRow, ModelRow, RunRow
from core.records.types import iso, unreadable_columns


def add_model(
    session: Session,
    run_id: str,
    *,
    name: str,
    folder: str,
    weights_sha256: str,
    size_bytes: int,
    card: Mapping[str, Any],
    calibrated: bool,
) -> str:
    """Record the model a run left, and return its id. folder: inside the home's models folder."""
    row = ModelRow(
        id=new_id(),
        run_id=run_id,
        name=name,
        folder=folder,
        weights_sha256=weights_sha256,
        size_bytes=size_bytes,
        card=dict(card),
        calibrated=calibrated,
    )
    session.add(row)
    session.flush()
    return row.id


def find_model(session: Session, model_id: str) -> ModelRow:
    """The row of a model, by its id or its run's. Raises NotFound."""
    row = session.get(ModelRow, model_id) or session.scalar(select(ModelRow).where(ModelRow.run_id == model_id))
    if row is None:
        raise NotFound("A model with this id", f"'{model_id}' is none", "List the models to see their ids.")
    return row


def find_model_by_name(session: Session, name: str) -> ModelRow:
    """The newest model with this name, for the command line. Raises NotFound."""
    query = select(ModelRow).where(ModelRow.name == name).order_by(ModelRow.created_at.desc(), ModelRow.id.desc())
    row = session.scalar(query.limit(1))
    if row is None:
        raise NotFound("A model with this name", f"'{name}' is none", "List the models to see their names.")
    return row


def list_models(session: Session, limit: int = 500, offset: int = 0) -> list[dict[str, Any]]:
    """Models, the newest first, in the shape of `model_dict` without the card."""
    query = _models().options(defer(ModelRow.card, raiseload=True))
    query = query.order_by(ModelRow.created_at.desc(), ModelRow.id.desc()).limit(limit).offset(offset)
    return with_description_versions(session, [_dict(row) for row in session.execute(query)])


def count_models(session: Session) -> int:
    """How many models there are."""
    return session.scalar(select(func.count(ModelRow.id))) or 0


def model_dict(session: Session, model_id: str) -> dict[str, Any]:
    """One model with the facts of its run, and its card. Raises NotFound."""
    row = session.execute(_models().where(ModelRow.id == find_model(session, model_id).id)).one()
    (told,) = with_description_versions(session, [_dict(row)])
    return told | {"card": row[0].card}


def delete_model(session: Session, model_id: str) -> list[str]:
    """Forget a model and its explanations; its run stays. Returns their folders, as paths in the home folder.

    Called through `app.services.contents.remove`, which removes the folders. Raises NotFound.
    """
    row = find_model(session, model_id)
    explained = session.scalars(select(ExplanationRow.folder).where(ExplanationRow.model_id == row.id)).all()
    session.delete(row)
    session.flush()
    return [model_path(row.folder), *explained]


def _models() -> Select[ModelRow, RunRow]:
    used = (
        "backbone calibration classes description_version_id descriptions_source image_set_id image_set_name intervals "
        "known_classes leakage method metrics n_test n_train n_val request seed shots trainable_parameters "
        "variant"
    )
    columns = [getattr(RunRow, name) for name in used.split()]
    return (
        select(ModelRow, RunRow).join(RunRow, ModelRow.run_id == RunRow.id).options(load_only(*columns, raiseload=True))
    )


def _dict(row: Row[ModelRow, RunRow]) -> dict[str, Any]:
    model, run = row
    return {
        "id": model.id,
        "run_id": model.run_id,
        "name": model.name,
        "folder": model.folder,
        "method": run.method,
        "backbone": run.backbone,
        "variant": run.variant,
        "classes": run.classes,
        "image_set": {"id": run.image_set_id, "name": run.image_set_name},
        "shots": run.shots,
        "seed": run.seed,
        "metrics": run.metrics,
        "n_train": run.n_train,
        "n_val": run.n_val,
        "n_test": run.n_test,
        "descriptions": run.descriptions_source,
        "description_version_id": run.description_version_id,
        "calibrated": model.calibrated,
        "calibration": run.calibration,
        "leakage": run.leakage,
        "allowed_leakage": bool(run.request.get("allow_leakage")),
        "known_classes": run.known_classes,
        "intervals": run.intervals,
        "created_at": iso(model.created_at),
        "size_bytes": model.size_bytes,
        "weights_sha256": model.weights_sha256,
        "trainable_parameters": run.trainable_parameters,
        "unreadable": unreadable_columns(model, run),
    }
