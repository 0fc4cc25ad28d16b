"""Bundles: an experiment or a run gathered from the records as one file, and repeated from it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services import experiments
from app.services.context import Context
from app.services.reports import find_experiment, find_run_id
from app.services.runs import get_run
from core.disk import told_when_full
from core.errors import InvalidInput, NotFound, PromptoscopeError
from core.experiments.bundle import Bundle, read_bundle, unpack_images, write_bundle
from core.experiments.spec import Candidate, ExperimentSpec, spec_from_record
from core.images.image_set import ImageSet
from core.images.limits import Limits
from core.images.read import read_image_set
from core.records import descriptions as description_records
from core.records import experiments as experiment_records
from core.records import image_sets as image_set_records
from core.records import runs as run_records
from core.scratch import scratch_folder
from core.tuning.method_cards import baseline_method

if TYPE_CHECKING:
    from core.experiments.repeat import Repeated

CELL = ("position", "image_set", "line", "method", "shots", "share", "seed", "descriptions", "metrics")


def export_bundle(ctx: Context, name: str, out: Path, *, with_images: bool = False) -> dict[str, Any]:
    """Write an experiment (name or id), a run (id) or a model's run (name or id) as a bundle.

    with_images: the images leave with it. Returns {bundle, name, cells, images, with_images, megabytes}. Raises
    NotFound, InvalidInput where nothing is finished.
    """
    bundle = _of_experiment(ctx, name) or _of_run(ctx, find_run_id(ctx, name))
    paths = {
        image.sha256: image.path
        for by_name in bundle.sets.values()
        for images in by_name.values()
        for image in images.images
    }
    draft = out.with_name(f".{out.name}.draft")
    try:
        with told_when_full():
            write_bundle(draft, bundle, paths if with_images else None)
        os.replace(draft, out)
    except FileNotFoundError:
        raise NotFound("Every image of the bundle", "one is gone from the home folder", "Restore a backup.") from None
    finally:
        draft.unlink(missing_ok=True)
    return {
        "bundle": str(out),
        "name": bundle.name,
        "cells": len(bundle.cells),
        "images": len(paths),
        "with_images": with_images,
        "megabytes": round(out.stat().st_size / 1e6, 2),
    }


def repeat_bundle(
    ctx: Context,
    file: Path,
    images: Sequence[Path] = (),
    *,
    backbone: str | None = None,
    tolerance: float | None = None,
    done: Callable[[Repeated], None] = lambda _: None,
) -> dict[str, Any]:
    """Train what a bundle holds again and compare the answers; nothing is recorded.

    images: folders, archives or tables that hold its images, where neither the bundle nor this home does. backbone: a
    name or folder instead of the recorded one, which must have the same weights. Returns {cells, identical,
    within_tolerance, different, failed, largest, tolerance, changed_environment}. Raises InvalidInput, NotFound.
    """
    from core.backbones.loading import load_backbone
    from core.experiments.repeat import TOLERANCE, repeat_cells

    if not file.is_file():
        raise NotFound("A file of `promptoscope bundle export`", f"there is none at '{file}'", "Check the path.")
    bundle = read_bundle(file)
    limit = TOLERANCE if tolerance is None else tolerance
    with scratch_folder(ctx.settings.unpacked_dir, "bundle-") as scratch:
        paths = _find_images(ctx, bundle.contents, file, images, scratch)
        tower = load_backbone(
            backbone or bundle.spec.backbone, precision=bundle.environment.get("precision") or "auto", home=ctx.home
        )
        found = repeat_cells(
            bundle, paths, tower, home=ctx.home, scratch=scratch, baseline=baseline_method(), tolerance=limit, done=done
        )
    verdicts = [each.verdict for each in found]
    return {
        "name": bundle.name,
        "cells": len(found),
        **{
            word.replace(" ", "_"): verdicts.count(word)
            for word in ("identical", "within tolerance", "different", "failed")
        },
        "largest": max((each.largest for each in found if each.largest is not None), default=None),
        "tolerance": limit,
        "changed_environment": _changed(bundle.environment, environment()),
    }


def environment() -> dict[str, Any]:
    """What answers may depend on beside settings and data: machine, processors, threads, programs."""
    import torch

    from core.experiments.cells import RULES
    from core.tuning.seal import versions

    return {
        "machine": platform.node(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "rules": RULES,
        "versions": versions(),
    }


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was where the bundle was exported, in words."""
    told = [
        f"{name} {before.get(name)}, here {now[name]}"
        for name in ("machine", "system", "processor", "threads", "rules")
        if before.get(name) != now[name]
    ]
    known: Mapping[str, str] = before.get("versions") or {}
    return told + [
        f"{name} {known[name]}, here {version}"
        for name, version in now["versions"].items()
        if known.get(name, version) != version
    ]


def _of_experiment(ctx: Context, name: str) -> Bundle | None:
    found = find_experiment(ctx, name)
    if found is None:
        return None
    cells = [cell for cell in experiments.list_cells(ctx, found["id"], state="done") if cell["run"]]
    with ctx.db.reading() as session:
        texts = dict(experiment_records.find_experiment(session, found["id"]).texts)
    sources = {"images": {}, "targets": {}} | found["sources"]
    return _bundle(ctx, found["name"], spec_from_record(found["spec"]), texts, sources, cells)


def _of_run(ctx: Context, run_id: str) -> Bundle:
    """A run as an experiment of one line."""
    run = get_run(ctx, run_id)
    request = run["request"]
    if run["protocol"] != "few-shot" or run["image_set"]["id"] is None:
        raise InvalidInput(
            "A run of the protocol few-shot whose image set is still here",
            f"'{run['name']}' is none",
            "Export the experiment that it belongs to.",
        )
    texts: dict[str, Any] = {}
    if run["description_version_id"]:
        with ctx.db.reading() as session:
            own = description_records.load_descriptions(session, run["description_version_id"])
        texts = {"run": {"": {"source": own.source, "sentences": {n: list(t) for n, t in own.sentences.items()}}}}
    line = Candidate(
        run["method"], dict(request.get("options") or {}), request.get("recipe"), run["variant"], run["method"]
    )
    spec = ExperimentSpec(
        name=run["name"],
        images=(run["image_set"]["name"],),
        candidates=(line,),
        backbone=run["backbone"],
        shots=(run["shots"],),
        seeds=(run["seed"],),
        descriptions=("run" if texts else None,),
        **{name: request.get(name) for name in ("modality", "template", "epochs", "views")},
        allow_leakage=bool(request.get("allow_leakage")),
    )
    place = {"position": 0, "image_set": spec.images[0], "line": run["method"], "share": None, "run": run_id}
    named = {name: run[name] for name in ("method", "shots", "seed", "metrics")}
    cell = place | named | {"descriptions": spec.descriptions[0]}
    sources = {"images": {spec.images[0]: run["image_set"]["id"]}, "targets": {}}
    return _bundle(ctx, run["name"], spec, texts, sources, [cell])


def _bundle(
    ctx: Context,
    name: str,
    spec: ExperimentSpec,
    texts: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, str]],
    cells: Sequence[Mapping[str, Any]],
) -> Bundle:
    if not cells:
        raise InvalidInput(
            "An experiment with a finished cell", f"'{name}' has none", "Run it first: only answers can be repeated."
        )
    with ctx.db.reading() as session:
        sets = {
            kind: {
                n: image_set_records.load_image_set(session, own, ctx.settings.images_dir) for n, own in by_name.items()
            }
            for kind, by_name in sources.items()
        }
        answers = {cell["position"]: _answers(session, cell["run"]) for cell in cells}
        runs = run_records.list_runs(
            session, run_ids=[cell["run"] for cell in cells], details=("versions",), limit=len(cells)
        )
    newest = runs[0]
    precisions = {run["precision"] for run in runs}
    ran = {
        "device": newest["device"],
        "precision": newest["precision"] if len(precisions) == 1 else None,
        "backbone_checksum": newest["backbone_checksum"],
    }
    kept = tuple({name: cell[name] for name in CELL} for cell in cells)
    return Bundle(name, spec, texts, sets, environment() | {"versions": newest["versions"]} | ran, kept, answers)


def _answers(session: Any, run_id: str) -> dict[str, Any]:
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in run_records.list_predictions(session, run_id):
        own = {name: row[name] for name in ("sha256", "label", "predicted", "probabilities")}
        parts.setdefault(row["part"], []).append(own)
    drawn = {role: [each["sha256"] for each in own] for role, own in run_records.list_drawn(session, run_id).items()}
    return {"parts": parts, "drawn": drawn}


def _find_images(ctx: Context, needed: set[str], file: Path, places: Sequence[Path], scratch: Path) -> dict[str, Path]:
    """Every image by its content: from the bundle, else from the places given, else from this home."""
    unpacked = scratch / "images"
    unpacked.mkdir()
    found = unpack_images(file, unpacked)
    for place in places:
        found |= {sha256: path for sha256, path in _in_files(place) if sha256 in needed}
        if not needed <= set(found):
            found |= {sha256: path for sha256, path in _as_image_set(place, scratch) if sha256 in needed}
    for sha256 in needed - set(found):
        try:
            found[sha256] = ctx.store.path_of(sha256)
        except NotFound:
            continue
    missing = sorted(needed - set(found))
    if missing:
        raise InvalidInput(
            f"All {len(needed)} images of the bundle, known by the SHA-256 of their bytes",
            f"{len(missing)} were not found, the first is {missing[0][:12]}",
            "Give the folder or archive that holds them with --images.",
        )
    return found


def _in_files(place: Path) -> Iterable[tuple[str, Path]]:
    """Files of a folder by the hash of their bytes."""
    if not place.exists():
        raise NotFound("A folder or file for --images", f"there is none at '{place}'", "Check the path.")
    for path in sorted(place.rglob("*")) if place.is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= Limits().max_file_bytes:
            with path.open("rb") as content:
                yield hashlib.file_digest(content, "sha256").hexdigest(), path


def _as_image_set(place: Path, scratch: Path) -> Iterable[tuple[str, Path]]:
    """The images of an archive, a table or a folder as they are read when a set is added."""
    folder = scratch / f"read-{len(list(scratch.iterdir()))}"
    folder.mkdir()
    try:
        found: ImageSet = read_image_set(place, "images", store_dir=folder)
    except PromptoscopeError:
        return
    for image in found.images:
        yield image.sha256, image.path
