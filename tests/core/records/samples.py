"""Small, made-up contents for a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Problem
from core.records.image_sets import add_image_set
from core.records.models import add_model
from core.records.runs import EpochMetric, RunRequest, add_run, seal_run, write_epoch_metrics

CLASSES = ("lesion", "calm")


def image_set(store: Path, name: str = "phantoms", per_part: int = 3) -> ImageSet:
    """Two classes with `per_part` images in the training and in the test part; the files need not exist."""
    images = tuple(
        LabelledImage(
            path=store / f"{label}{part}{number}.png",
            name=f"{part}/{CLASSES[label]}/{number}.png",
            label=label,
            part=part,
            sha256=f"{label}{part}{number}".ljust(64, "0"),
            group=f"patient {number}" if number else None,
            width=64,
            height=48,
        )
        for part in ("train", "test")
        for label in range(2)
        for number in range(per_part)
    )
    problem = Problem("broken.png", "cut off", "a whole PNG", "12 bytes")
    return ImageSet(name, CLASSES, images, (problem,), ("A test part was held out.",), "drawn scan", {"seed": "1"})


def add_sample_set(session: Session, store: Path, name: str = "phantoms", per_part: int = 3) -> str:
    """The sample image set, recorded; the first test image has a mask."""
    made = image_set(store, name, per_part)
    masks = {"test/lesion/0.png": ("f" * 64, store / "mask.png")}
    return add_image_set(session, made, source="demo", store=store, drawn=True, masks=masks)


def record(**changes: Any) -> dict[str, Any]:
    """What training tells of a finished run."""
    return {
        "method": "coop",
        "backbone": "embedded",
        "variant": "default",
        "classes": list(CLASSES),
        "options": {"epochs": 2, "template": "a photo of a {}."},
        "epochs": 2,
        "steps": 4,
        "seconds": 1.5,
        "n_train": 4,
        "n_val": 2,
        "n_test": 6,
        "metrics": {"accuracy": 0.75, "auroc": None},
        "descriptions": "templates",
        "temperature": 1.25,
        "notes": ["A note."],
        "leakage": {"allowed": False, "found": False, "sentence": "No leakage was found."},
        "known_classes": ["calm"],
        "intervals": {"accuracy": {"low": 0.5, "high": 0.9, "n": 6, "interval": "95% over 6 images", "over": "images"}},
        "calibration": {"n": 2, "note": "Calibrated on 2 images.", "also_chose": []},
        "recipe": {"name": "coop/here/set/few-shot", "hash": "a" * 64, "deviations": [], "notes": []},
        "trainable_parameters": 128,
        "gflops_per_image": 10.5,
        "unlabelled_images": 40,
        "backbone_checksum": "c" * 64,
        "versions": {"torch": "2.14"},
        "device": "cpu",
        "precision": "fp32",
        "training_seconds": 0.75,
        "feature_seconds": 0.25,
        "encoded_pictures": 8,
        "trained_together": 2,
        "peak_mb": 512.5,
        "confusion": [[2, 1], [0, 3]],
        "per_class": [{"class": "lesion", "recall": 0.66}],
    } | changes


def add_sealed_run(session: Session, image_set_id: str, **request: Any) -> tuple[str, str]:
    """A sealed run with two epochs, one prediction and a model: (run id, model id)."""
    run_id = add_run(session, RunRequest(image_set=image_set_id, method="coop", **request))
    write_epoch_metrics(session, run_id, [EpochMetric(1, 0.9, {"cross_entropy": 0.9}), EpochMetric(2, 0.5)])
    prediction = {
        "file": "test/lesion/0.png",
        "label": "lesion",
        "predicted": "calm",
        "probabilities": {"lesion": 0.25, "calm": 0.75},
    }
    seal_run(session, run_id, record(), [prediction])
    model_id = add_model(
        session,
        run_id,
        name="coop, 16 shots",
        folder=run_id,
        weights_sha256="a" * 64,
        size_bytes=1234,
        card={"classes": list(CLASSES)},
        calibrated=True,
    )
    return run_id, model_id
