"""Explanation: where a model looks in an image, with its maps kept as files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from core.explain.parts import HEADS, PARTS
from core.images.decode import opened_picture
from core.records import audit, image_sets
from core.records import explanations as records
from core.scratch import scratch_folder

ARRAYS = "arrays"
ARRAYS_FILE = "arrays.npz"
ORIGINAL_FILE = "original.png"


def explain(
    ctx: Context, model_id: str, image_id: str, class_name: str | None = None, region_id: str | None = None
) -> dict[str, Any]:
    """The first answer about one image for one class (the predicted one unless said): maps and attention, kept.

    region_id: what maps are measured against, instead of the set's mask.
    The same question asked again is answered from the record. What takes longer is named in `pending` and comes by
    `complete`. Raises NotFound for model, image or class, and Abandoned where nobody waits for it any more.
    """
    from core.explain.explain import explain_first

    model = get_model(ctx, model_id)
    with ctx.db.reading() as session:
        image = image_sets.image_dict(session, str(image_id))
        known = records.find_same_explanation(session, model["id"], image["id"], class_name)
    if known is not None:
        return get_explanation(ctx, known, region_id)
    ctx.explanations_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    go_on()
    with told_when_full(), scratch_folder(ctx.drafts_dir) as draft:
        with _opened(ctx, model, image) as (classifier, rgb, mask, told):
            found = explain_first(classifier, rgb, class_name, draft, mask, image["name"], "set")
        made = _record(ctx, model, image, draft, found.as_dict() | told)
    return get_explanation(ctx, made, region_id)


def complete(ctx: Context, id: str, part: str) -> dict[str, Any]:
    """The explanation with one more of its parts, computed if it was pending. Raises NotFound for another part."""
    from core.explain.explain import explain_further

    found = get_explanation(ctx, id)
    if part not in PARTS:
        raise NotFound(f"A part of an explanation: {', '.join(PARTS)}", f"found '{part}'", "Ask for one of them.")
    if part not in found.get("pending", []):
        return found
    model = get_model(ctx, found["model_id"])
    with ctx.db.reading() as session:
        image = image_sets.image_dict(session, found["image_id"])
    started = time.perf_counter()
    with _opened(ctx, model, image) as (classifier, rgb, mask, _):
        value = explain_further(classifier, rgb, found["class"], part, mask, go_on, _true_class(model, image))
    seconds = time.perf_counter() - started
    with ctx.db.writing() as session:
        records.complete_explanation(session, found["id"], part, value, seconds)
    return get_explanation(ctx, found["id"])


def get_explanation(ctx: Context, id: str, region_id: str | None = None) -> dict[str, Any]:
    """One explanation, its maps measured against another region of its image if one is named. Raises NotFound."""
    with ctx.db.reading() as session:
        found = _with_urls(ctx, records.explanation_dict(session, str(id)))
    return found if region_id is None else measured(ctx, found, region_id)


def measured(ctx: Context, found: dict[str, Any], region_id: str) -> dict[str, Any]:
    """The explanation with its maps measured against a region of its image; `regions.OWN` names the set's mask.

    What-if rows keep only what does not depend on the region. Raises NotFound for a region of another image.
    """
    import numpy as np

    from app.services.regions import seen_region
    from core.explain.frame import Frame
    from core.explain.measure import measure

    with ctx.db.reading() as session:
        folder = ctx.home / records.find_explanation(session, found["id"]).folder
    if not found.get("frame") or not (folder / ARRAYS_FILE).is_file():
        raise NotFound("An explanation with maps to measure", "this one has none", "Explain the image again.")
    with np.load(folder / ARRAYS_FILE) as file:
        arrays = {kind: file[kind] for kind in file.files if not kind.startswith(HEADS)}
    grid = arrays["attention"].shape
    frame = Frame.from_dict(found["frame"])
    seen, source = seen_region(ctx, found["image_id"], region_id, frame, (grid[0], grid[1]))
    rows = [{k: v for k, v in row.items() if k != "lesion_share"} for row in found.get("what_if", [])]
    return found | {"region": measure(arrays, seen, source) | {"id": region_id}, "what_if": rows}


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
    if path is not None and not path.is_file():
        _paint(folder, next((entry for entry in maps if entry["kind"] == kind), {}), path)
    if path is None or not path.is_file():
        raise NotFound(f"A map of one of the kinds {', '.join(files)}", f"found '{kind}'", "Choose one of them.")
    return path


def map_drawing(ctx: Context, explanation_id: str, kind: str) -> str:
    """One map as SVG with its table. Raises NotFound for another kind, or where the values are gone."""
    from core.explain.case_files import svg_of

    found, arrays, view, card = _case(ctx, get_explanation(ctx, explanation_id))
    return svg_of(found, kind, arrays, view, card)


def case_page(ctx: Context, explanation_id: str, region_id: str | None = None) -> str:
    """All of an explanation as one HTML file, measured against a region if one is named. Raises NotFound."""
    from core.explain.case_files import page_of

    return page_of(*_case(ctx, get_explanation(ctx, explanation_id, region_id)))


def _case(ctx: Context, found: dict[str, Any]) -> tuple[dict[str, Any], Any, Image.Image, dict[str, Any]]:
    """An explanation with its values, the picture that the model sees, and the model's card."""
    import numpy as np

    with ctx.db.reading() as session:
        folder = ctx.home / records.find_explanation(session, found["id"]).folder
    values, below = folder / ARRAYS_FILE, folder / ORIGINAL_FILE
    if not values.is_file() or not below.is_file():
        raise NotFound("An explanation with maps", "its files are not there", "Explain the image again.")
    with np.load(values) as file:
        arrays = {kind: file[kind] for kind in file.files if not kind.startswith(HEADS)}
    with Image.open(below) as view:
        return found, arrays, view.convert("RGB"), get_model(ctx, found["model_id"])


def _record(ctx: Context, model: dict[str, Any], image: dict[str, Any], draft: Path, result: dict[str, Any]) -> str:
    folder = ctx.explanations_dir / draft.name

    def work(session: Session) -> str:
        made = records.add_explanation(
            session,
            model_id=model["id"],
            image_id=image["id"],
            class_name=result["class"],
            seconds=result["seconds"],
            folder=folder.relative_to(ctx.home).as_posix(),
            image_sha256=image["sha256"],
            weights_sha256=model["weights_sha256"],
            result=result,
        )
        audit.add_audit_entry(session, ACTOR, "explain", "model", model["id"], {"image_id": image["id"]})
        return made

    return contents.record_folder(ctx, draft, folder, work)


@contextmanager
def _opened(
    ctx: Context, model: dict[str, Any], image: dict[str, Any]
) -> Iterator[tuple[Any, Image.Image, Image.Image | None, dict[str, Any]]]:
    """The classifier, the picture, its mask if it has one, and what is to be told of the picture."""
    mask = None
    if image["has_mask"]:
        with opened_picture(mask_file(ctx, image["id"])[0]) as stored:
            mask = stored.marked()
    with opened_picture(image_file(ctx, image["id"])[0]) as picture:
        rgb, told = picture.rgb(), picture.told()
    with ctx.classifiers.using(model["id"], model["weights_sha256"], model_folder(ctx, model)) as classifier:
        yield classifier, rgb, mask, told


def _true_class(model: dict[str, Any], image: dict[str, Any]) -> str | None:
    """The label of an image of a set, where it is one of the model's classes."""
    return image["class"] if image["class"] in model["classes"] else None


def _paint(folder: Path, entry: dict[str, Any], path: Path) -> None:
    """Make the picture of a map from its values; nothing happens where these are not there."""
    below, values = folder / ORIGINAL_FILE, folder / ARRAYS_FILE
    if not entry.get("scale") or not below.is_file() or not values.is_file():
        return
    import numpy as np

    from core.explain.paint import overlay, save_picture

    with np.load(values) as arrays, Image.open(below) as view:
        painted = overlay(view, arrays[entry["kind"]], tuple(entry["scale"]), entry["colour_map"])
        with told_when_full(), scratch_folder(folder, ".paint-") as draft:
            save_picture(painted, draft / path.name, arrays)
            os.replace(draft / path.name, path)


def _with_urls(ctx: Context, row: dict[str, Any]) -> dict[str, Any]:
    base = f"{ctx.settings.root_path}/api/v1/explanations/{row['id']}/maps"
    maps = [entry | {"url": f"{base}/{entry['kind']}"} for entry in row["maps"]]
    pending = [part for part in row.get("pending", []) if part in PARTS]  # older ones may name parts that are no more
    return row | {"maps": maps, "pending": pending, "arrays_url": f"{base}/{ARRAYS}"}
