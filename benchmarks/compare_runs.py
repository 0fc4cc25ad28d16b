"""How long a comparison of many runs takes: `OMP_NUM_THREADS=1 python -m benchmarks.compare_runs`, or with `--json`.

Makes a home of its own with 1,000 recorded runs of five methods, five numbers of shots and eight seeds on five image
sets of 200 test images in four classes, whose answers are drawn; nothing is trained. Prints processor seconds, which
other work on the machine hardly changes: of the comparison with all its tests, first and again (finished runs are kept
in memory), and of putting the answer into JSON as the API does. `--home` keeps the home for another time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from app.api.schemas import Comparison
from app.services import published, runs
from app.services.context import Context, open_context
from core.evaluation.metrics import confusion, metrics
from core.evaluation.model_intervals import model_intervals
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.records.image_sets import add_image_set
from core.records.migrate import prepare
from core.records.runs import RunRequest, add_run, seal_run
from core.settings import Settings

METHODS = {"zero_shot": 0.9, "coop": 1.3, "clip_adapter": 1.2, "tip_adapter": 1.4, "linear_probe": 1.25}
"""How far the true class stands out in the drawn answers of each; shots and draws add to it."""
SHOTS = (1, 2, 4, 8, 16)
CLASSES = ("glioma", "meningioma", "no tumour", "pituitary tumour")
IMAGES, SETS, SEEDS = 200, 5, 8
AGAIN = 5


def measured(ctx: Context) -> dict[str, Any]:
    """{runs, images, rows, groups, first, again, to_json, bytes}: processor seconds; `again` is the median of five."""
    first, found = _timed(lambda: runs.compare(ctx))
    again = [_timed(lambda: runs.compare(ctx))[0] for _ in range(AGAIN)]
    to_json = [_timed(lambda: as_json(found)) for _ in range(AGAIN)]
    rows = [row for group in found["groups"] for row in group["rows"]]
    return {
        "runs": sum(row["n_seeds"] for row in {tuple(row["run_ids"]): row for row in rows}.values()),
        "rows": len(rows),
        "groups": len(found["groups"]),
        "first": round(first, 2),
        "again": round(float(np.median(again)), 2),
        "to_json": round(float(np.median([seconds for seconds, _ in to_json])), 2),
        "bytes": len(to_json[0][1]),
    }


def as_json(found: dict[str, Any]) -> bytes:
    """The answer as the API sends it."""
    return Comparison.model_validate(found).model_dump_json().encode()


def fill(ctx: Context, sets: int, images: int, seeds: int) -> None:
    """Record the sets, and runs of every method, number of shots and seed on each."""
    published.import_shipped(ctx)
    draw = np.random.default_rng(1)
    for at in range(sets):
        ctx.db.write(lambda session, at=at: _fill_set(session, ctx, f"Set {at + 1}", images, seeds, draw))


def _fill_set(session: Session, ctx: Context, name: str, images: int, seeds: int, draw: np.random.Generator) -> None:
    labels = np.arange(images) % len(CLASSES)
    made = ImageSet(name, CLASSES, tuple(_images(ctx.store.folder, name, labels)), (), (), "drawn answers", {})
    set_id = add_image_set(session, made, source="upload", store=ctx.store.folder)
    files = [image.name for image in made.images]
    hard = draw.normal(0, 0.8, (images, len(CLASSES)))
    intervals: dict[str, Any] = {}
    for method, stands_out in METHODS.items():
        own = hard + draw.normal(0, 0.5, hard.shape)
        for shots in SHOTS:
            for seed in range(1, seeds + 1):
                learned = 0.0 if method == "zero_shot" else 0.15 * np.log2(shots) + draw.normal(0, 0.1)
                noise = 0.0 if method == "zero_shot" else draw.normal(0, 0.5, hard.shape)
                scores = np.exp(own + noise + (stands_out + learned) * np.eye(len(CLASSES))[labels])
                stated = scores / scores.sum(axis=1, keepdims=True)
                # resampling takes longest here, and these numbers are shown of single models only
                intervals = intervals or model_intervals(stated, labels)
                run_id = add_run(session, RunRequest(image_set=set_id, method=method, shots=shots, seed=seed))
                seal_run(session, run_id, _record(stated, labels, shots, intervals), _answers(files, stated, labels))


def _images(folder: Path, name: str, labels: np.ndarray) -> Iterator[LabelledImage]:
    for at, label in enumerate(labels):
        sha = hashlib.sha256(f"{name} {at}".encode()).hexdigest()
        file = f"test/{CLASSES[label]}/{at}.png"
        yield LabelledImage(folder / f"{sha}.png", file, int(label), "test", sha, None, 64, 64)


def _record(stated: np.ndarray, labels: np.ndarray, shots: int, intervals: dict[str, Any]) -> dict[str, Any]:
    return {
        "backbone": "embedded",
        "variant": "default",
        "classes": list(CLASSES),
        "options": {"epochs": 50, "batch_size": 32, "learning_rate": 0.002, "template": "a photo of a {}."},
        "epochs": 50,
        "steps": 50 * max(1, shots // 8),
        "seconds": 2.0,
        "n_train": shots * len(CLASSES),
        "n_val": shots * len(CLASSES),
        "n_test": len(labels),
        "metrics": metrics(stated, labels),
        "confusion": confusion(labels, stated.argmax(axis=1), len(CLASSES)),
        "descriptions": "templates",
        "intervals": intervals,
        "leakage": {"allowed": False, "found": False, "sentence": "No leakage was found."},
        "trainable_parameters": 2048,
        "backbone_checksum": "c" * 64,
        "device": "cpu",
        "precision": "fp32",
        "peak_mb": 512.0,
    }


def _answers(files: list[str], stated: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "file": file,
            "label": CLASSES[label],
            "predicted": CLASSES[own.argmax()],
            "probabilities": dict(zip(CLASSES, own.tolist(), strict=True)),
        }
        for file, own, label in zip(files, stated, labels, strict=True)
    ]


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def main() -> None:
    """Make the home, unless it is there, and measure in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="where the runs are recorded, and found again the next time")
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--images", type=int, default=IMAGES, help="test images of each set")
    parser.add_argument("--json", action="store_true", help="print one object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=asked.home or Path(folder), database_url=None)
        is_new = not (settings.home / "promptoscope.db").exists()
        ctx = _opened(settings)
        if is_new:
            fill(ctx, asked.sets, asked.images, asked.seeds)
        _warm_up(ctx)
        found = measured(ctx)
        ctx.close()
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{found['runs']} runs in {found['groups']} groups and {found['rows']} rows, processor seconds:")
    print(f"first comparison {found['first']}, again {found['again']}")
    print(f"as JSON {found['to_json']} ({found['bytes'] / 1e6:.1f} MB)")


def _opened(settings: Settings) -> Context:
    settings.home.mkdir(parents=True, exist_ok=True)
    prepare(settings.database)
    return open_context(settings)


def _warm_up(ctx: Context) -> None:
    """Load what a site has loaded long before somebody compares: without the answers of a single run."""
    import scipy.special  # noqa: F401

    as_json(runs.compare(ctx, run_ids=[runs.list_runs(ctx, limit=1)[0]["id"]], tested=False))


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("Set OMP_NUM_THREADS=1: threads that wait for each other count as work.", file=sys.stderr)
    main()
