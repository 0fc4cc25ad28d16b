"""Models: listed, shown, packed for download and deleted."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.methods import is_baseline
from core.disk import told_when_full
from core.errors import NotFound
from core.records import audit
from core.records import models as records
from core.records.description_use import version_of_model
from core.tuning.method_cards import method_title
from core.tuning.model_folder import CARD, CONFIG, SEEN, WEIGHTS

FILES = (CONFIG, WEIGHTS, SEEN, CARD)


def list_models(ctx: Context, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
    """Models without their cards, newest first."""
    with ctx.db.reading() as session:
        return [_titled(row) for row in records.list_models(session, limit, offset)]


def count_models(ctx: Context) -> int:
    """How many models there are."""
    with ctx.db.reading() as session:
        return records.count_models(session)


def get_model(ctx: Context, id: str) -> dict[str, Any]:
    """One model, by its id or its run's, with its card. Raises NotFound."""
    with ctx.db.reading() as session:
        return _titled(records.model_dict(session, str(id)))


def find_model(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """One model by id, run id or name (the newest of that name). Raises NotFound."""
    try:
        return get_model(ctx, id_or_name)
    except NotFound:
        with ctx.db.reading() as session:
            found = records.find_model_by_name(session, id_or_name).id
        return get_model(ctx, found)


def description_use(ctx: Context, folder: str) -> dict[str, Any] | None:
    """Which version of which descriptions the model in a folder of the home was trained on, and the newest now."""
    with ctx.db.reading() as session:
        return version_of_model(session, folder=folder)


def model_folder(ctx: Context, row: dict[str, Any]) -> Path:
    """The folder of a model's files. Raises NotFound if it is gone."""
    folder = ctx.settings.models_dir / row["folder"]
    if not folder.is_dir():
        raise NotFound("The model's folder", "it is missing from the home folder", "Train again or restore a backup.")
    return folder


def archive_model(ctx: Context, id: str) -> Path:
    """The model's files in a zip, for the caller to send and remove."""
    folder = model_folder(ctx, get_model(ctx, id))
    ctx.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=ctx.settings.cache_dir, suffix=".zip")
    try:
        with told_when_full(), os.fdopen(handle, "wb") as file:
            _pack(folder, f"model-{id}", file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _pack(folder: Path, name: str, file: BinaryIO) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for part in FILES:
            if (folder / part).is_file():
                archive.write(folder / part, f"{name}/{part}")


def delete_model(ctx: Context, id: str) -> dict[str, Any]:
    """Delete a model, its files and its explanations; its run and numbers stay. Raises NotFound."""
    deleted: list[str] = []

    def work(session: Session) -> list[str]:
        deleted[:] = [records.find_model(session, str(id)).id]
        paths = records.delete_model(session, deleted[0])
        audit.add_audit_entry(session, ACTOR, "delete", "model", deleted[0])
        return paths

    contents.remove(ctx, work)
    ctx.classifiers.forget(deleted[0])
    return {"deleted": deleted[0]}


def _titled(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"method_title": method_title(row["method"]), "is_baseline": is_baseline(row["method"])}
