"""Explanation: where a model looks in an image, with its maps kept as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.image_sets import image_file, mask_file
from app.services.line import go_on
from app.services.models import get_model, model_folder
from core.disk import told_when_full
from core.errors import NotFound
from core.images.decode import opened_picture
from core.records import audit, image_sets
from core.records import explanations as records
from core.scratch import scratch_folder

ARRAYS = "arrays"
ARRAYS_FILE = "arrays.npz"


def explain(ctx: Context, model_id: str, image_id: str, class_name: str | None = None) -> dict[str, Any]:
    """Compute the maps of one image for one class (the predicted one unless said), and keep them.

    Returns what `core.explain` gives, each map with its "url". Raises NotFound for model, image or class, and
    Abandoned between two steps where nobody waits for it any more.
    """
    from core.explain.explain import explain_image

    model = get_model(ctx, model_id)
    with ctx.db.reading() as session:
        image = image_sets.image_dict(session, str(image_id))
    path, _ = image_file(ctx, image["id"])
    mask = _mask(ctx, image)
    ctx.explanations_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with told_when_full(), scratch_folder(ctx.drafts_dir) as draft:
        with ctx.classifiers.using(model["id"], model["weights_sha256"], model_folder(ctx, model)) as classifier:
            with opened_picture(path) as picture:
                rgb, told = picture.rgb(), picture.told()
            found = explain_image(classifier, rgb, class_name, draft, mask=mask, image_name=image["name"], step=go_on)
        made = _record(ctx, model["id"], image["id"], draft, found.as_dict() | told)
    return get_explanation(ctx, made)


def get_explanation(ctx: Context, id: str) -> dict[str, Any]:
    """One explanation. Raises NotFound."""
    with ctx.db.reading() as session:
        return _with_urls(ctx, records.explanation_dict(session, str(id)))


def list_explanations(
    ctx: Context, model_id: str | None = None, image_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Explanations without their maps, newest first; all, or those of one model or image."""
    with ctx.db.reading() as session:
        return records.list_explanations(session, model_id, image_id, limit, offset)


def count_explanations(ctx: Context, model_id: str | None = None, image_id: str | None = None) -> int:
    """How many explanations `list_explanations` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_explanations(session, model_id, image_id)


def map_file(ctx: Context, explanation_id: str, kind: str) -> Path:
    """The PNG of one map, or all arrays as .npz for the kind "arrays". Raises NotFound."""
    with ctx.db.reading() as session:
        row = records.find_explanation(session, str(explanation_id))
        maps = records.explanation_dict(session, row.id)["maps"]
        files = {entry["kind"]: entry.get("file") for entry in maps} | {ARRAYS: ARRAYS_FILE}
        folder = ctx.home / row.folder
    path = folder / files[kind] if files.get(kind) else None
    if path is None or not path.is_file():
        raise NotFound(f"A map of one of the kinds {', '.join(files)}", f"found '{kind}'", "Choose one of them.")
    return path


def _record(ctx: Context, model_id: str, image_id: str, draft: Path, result: dict[str, Any]) -> str:
    folder = ctx.explanations_dir / draft.name

    def work(session: Session) -> str:
        made = records.add_explanation(
            session,
            model_id=model_id,
            image_id=image_id,
            class_name=result["class"],
            seconds=result["seconds"],
            folder=folder.relative_to(ctx.home).as_posix(),
            result=result,
        )
        audit.add_audit_entry(session, ACTOR, "explain", "model", model_id, {"image_id": image_id})
        return made

    return contents.record_folder(ctx, draft, folder, work)


def _mask(ctx: Context, image: dict[str, Any]) -> Image.Image | None:
    if not image["has_mask"]:
        return None
    with opened_picture(mask_file(ctx, image["id"])[0]) as mask:
        return mask.marked()


def _with_urls(ctx: Context, row: dict[str, Any]) -> dict[str, Any]:
    base = f"{ctx.settings.root_path}/api/v1/explanations/{row['id']}/maps"
    maps = [entry | {"url": f"{base}/{entry['kind']}"} for entry in row["maps"]]
    return row | {"maps": maps, "arrays_url": f"{base}/{ARRAYS}"}
