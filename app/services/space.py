"""A model as a folder that runs by itself: the demo's sources, the model, its backbone, a card and pinned packages.

The folder has the layout of a Gradio Space. Nothing is sent anywhere: whoever made it looks at it and publishes it.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.services.source_closure import ROOT, Closure, closure
from core.backbones.catalogue import find_folder, read_record
from core.disk import told_when_full
from core.errors import Conflict
from core.scratch import scratch_folder
from core.tuning.artifact import read_artifact
from core.tuning.model_folder import CONFIG, WEIGHTS

DATA_SUFFIXES = (".css", ".js", ".json", ".toml")
KEPT = (
    *("format", "weights_sha256", "method", "title", "variant", "backbone", "backbone_checksum", "classes"),
    *("descriptions", "modality", "seed", "options", "temperature", "calibrated", "calibration", "metrics"),
    *("intervals", "leakage", "known_classes", "shots", "n_train", "n_val", "n_test", "precision", "versions"),
)
"""What is published of a model's card. Left out: the image set's name and notes, which may name files of patients."""
LICENCES = {"apache-2.0": "permissive", "mit": "permissive"}
MAIN = '''"""Serves the model beside this file."""

from pathlib import Path

from app.demo import demo

HERE = Path(__file__).parent

if __name__ == "__main__":
    demo(HERE / "model", home=HERE / "home").launch(server_name="0.0.0.0")
'''


def export_space(folder: Path, out: Path, home: Path) -> dict[str, Any]:
    """Write a self-contained folder for a Gradio Space, and say what it holds.

    folder: the model's. out: a new or empty folder. home: where backbones were fetched to. Returns {model, space,
    files, megabytes, backbone, licence, licence_class, requirements}. Raises Conflict for a folder that holds
    something, and what reading the model or finding its backbone raises.
    """
    card, _ = read_artifact(folder)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Conflict("A new or empty folder for the Space", f"'{out}' holds something", "Give another --space.")
    name, backbone = find_folder(card["backbone"], home)
    needed = closure(["app.demo", f"core.methods.{card['method']}"])
    licence = read_record(backbone).get("licence") or "see the publisher's page"
    out.parent.mkdir(parents=True, exist_ok=True)
    with told_when_full(), scratch_folder(out.parent, ".space-") as draft:
        draft.chmod(0o755)
        _copy_sources(needed, draft)
        _copy_model(folder, card, draft / "model")
        _copy_backbone(name, backbone, draft)
        (draft / "main.py").write_text(MAIN, "utf-8")
        (draft / "requirements.txt").write_text("".join(f"{line}\n" for line in needed.pinned()), "utf-8")
        (draft / "README.md").write_text(space_card(card, licence), "utf-8")
        if out.exists():
            out.rmdir()
        os.replace(draft, out)
    files = [file for file in out.rglob("*") if file.is_file()]
    return {
        "model": str(folder),
        "space": str(out),
        "files": len(files),
        "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 1),
        "backbone": card["backbone"],
        "licence": licence,
        "licence_class": licence_class(licence),
        "requirements": needed.pinned(),
    }


def licence_class(licence: str) -> str:
    """ "permissive", or "look it up" for weights whose terms this program does not know."""
    return LICENCES.get(licence.lower(), "look it up")


def space_card(card: dict[str, Any], licence: str) -> str:
    """README.md of the Space: its YAML head, what the model is, what it was measured at, and what nobody may do."""
    rows = "\n".join(_metric(card, name, value) for name, value in (card.get("metrics") or {}).items())
    identifier = licence.lower() if licence.lower() in LICENCES else "other"
    leakage = (card.get("leakage") or {}).get("sentence") or "Leakage was not counted."
    known = ", ".join(card.get("known_classes") or []) or "none of these classes"
    title = json.dumps(f"{card.get('title') or card['method']} ({len(card['classes'])} classes)")
    return f"""---
title: {title}
sdk: gradio
sdk_version: {version("gradio")}
app_file: main.py
license: {identifier}
---

# {card.get("title") or card["method"]}

**Research use only. Not for use in diagnostic procedures.** Do not send pictures of patients to a server that is not
allowed to have them.

Method `{card["method"]}` on the backbone `{card["backbone"]}`, trained with {card.get("n_train", "unknown")} images.
Classes: {", ".join(card["classes"])}.

| metric | value on its own test images | 95 % interval of this model |
|---|---|---|
{rows}

{leakage} Learned from labelled images by the backbone's text side: {known}.

## Licences

- Weights of the backbone: {licence} ({licence_class(licence)}).
- Sources of this application: Apache-2.0.
- Learned tensors in `model/`: made from images whose terms this program does not know; whoever publishes them answers
  for that.

Start it anywhere with `pip install -r requirements.txt` and `python main.py`.
"""


def _metric(card: dict[str, Any], name: str, value: float | None) -> str:
    own = (card.get("intervals") or {}).get(name) or {}
    between = "-" if own.get("low") is None else f"{own['low']:.3f} to {own['high']:.3f}"
    return f"| {name} | {'-' if value is None else f'{value:.3f}'} | {between} |"


def _copy_sources(needed: Closure, out: Path) -> None:
    """Modules, the packages around them, and the data files beside them."""
    for file in needed.modules.values():
        beside = [data for data in file.parent.iterdir() if data.suffix in DATA_SUFFIXES and data.is_file()]
        for one in (file, *beside):
            place = out / one.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one, place)
    shutil.copyfile(ROOT / "LICENSE", out / "LICENSE")


def _copy_model(folder: Path, card: dict[str, Any], out: Path) -> None:
    out.mkdir()
    shutil.copyfile(folder / WEIGHTS, out / WEIGHTS)
    kept = {name: card[name] for name in KEPT if name in card}
    (out / CONFIG).write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _copy_backbone(name: str, folder: Path, out: Path) -> None:
    """To where `load_backbone` looks for it: the embedded one beside its module, others in the home folder."""
    place = out / "core" / "backbones" / "embedded" if name == "embedded" else out / "home" / "backbones" / folder.name
    shutil.copytree(folder, place)
