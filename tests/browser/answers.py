"""Answers of the API for the browser tests of the result pages: small, fixed, and in the shapes of `app.api.schemas`.

With them a page can be shown in each state without training anything. Names hold markup on purpose: pages must show it
as text.
"""

from __future__ import annotations

import io
import json
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

SET_ID, MODEL_ID, RUN_ID, JOB_ID, IMAGE_ID = "set-1", "model-1", "run-1", "job-1", "image-1"
CLASSES = ["benign", "malignant", "<b>normal</b>"]
MADE = "2026-03-01T10:00:00+00:00"
NAME = "CoOp, 8 shots, seed 1"

FRAME = {
    "original_px": [300, 200],
    "model_px": 224,
    "resized_px": [336, 224],
    "offset_px": [56, 0],
    "crop_box": [50, 0, 250, 200],
    "seen_share": 0.6667,
}
IMAGE_SET = {
    "id": SET_ID,
    "name": "Ultrasound <i>spring</i>",
    "modality": "ultrasound",
    "source": "upload",
    "drawn": False,
    "fingerprint": "f" * 64,
    "created_at": MADE,
    "n_images": 60,
    "classes": [{"name": name, "label": i, "train": 9 + 3 * i, "val": 0, "test": 8} for i, name in enumerate(CLASSES)],
    "problems": [],
    "notes": [],
}
CARD = {
    "name": "coop",
    "title": "CoOp",
    "summary": "Learns the words in front of each class name.",
    "paper": "Zhou et al. Learning to Prompt for Vision-Language Models. IJCV 2022.",
    "code": "",
    "licence": "MIT",
    "needs": ["template"],
    "trains": "context words of the text prompt",
    "image_path": "frozen",
    "learns_words": True,
    "per_image_text": False,
    "variants": ["default", "paper"],
    "starter": "Quick",
    "starter_place": 1,
    "is_baseline": False,
}
UNASKED = {"starter": None, "starter_place": None}
METHODS = [
    CARD,
    CARD
    | {"name": "biomed_dpt", "title": "Biomed-DPT", "image_path": "prompted", "needs": ["descriptions", "template"]}
    | {"starter": "With texts", "starter_place": 2},
    CARD
    | {"name": "linear_probe", "title": "Linear probe", "needs": [], "trains": "a linear classifier"}
    | {"is_simple": True, "learns_words": False}
    | UNASKED,
    CARD
    | {"name": "zero_shot", "title": "Zero-shot", "trains": "nothing", "variants": ["default"]}
    | UNASKED
    | {"is_baseline": True, "learns_words": False},
]


def option(name: str, kind: str, default: Any, **more: Any) -> dict[str, Any]:
    """One row of a method's options."""
    empty = {
        "optional": False,
        "unit": "",
        "bounds": None,
        "choices": None,
        "help": f"Help of {name}.",
        "advanced": False,
    }
    return empty | {"name": name, "type": kind, "default": default} | more


OPTIONS = [
    option("template", "str", "a photo of a {}."),
    option("epochs", "int", 50, unit="epochs", bounds=[1, 5000]),
    option("learning_rate", "float", 0.002, bounds=[0.0, 100.0]),
    option("augmentation", "str", "crop", choices=["crop", "mild"]),
    option("text_dropout", "bool", False, advanced=True),
]
METHOD = CARD | {"options": OPTIONS, "presets": {"default": {}, "paper": {"epochs": 200}}}
RECIPE_NAME = "coop/somewhere-2025/scans/few-shot"
RECIPE = {
    "name": RECIPE_NAME,
    "method": "coop",
    "source": "somewhere-2025",
    "data_set": "scans",
    "protocol": "few-shot",
    "title": "<b>SCANS</b>",
    "modality": "ultrasound",
    "backbone": "biomedclip",
    "hash": "ab12cd34" + "0" * 56,
}
RECIPE_IN_FULL = RECIPE | {
    "options": {"epochs": 100, "learning_rate": 0.002},
    "values": {
        "template": "a scan of a {}.",
        "epochs": 100,
        "learning_rate": 0.004,
        "augmentation": "mild",
        "text_dropout": True,
    },
    "to_be_given": [],
    "shots": [1, 16],
    "seeds": [1, 2, 3],
    "classes": CLASSES,
    "novel_classes": [],
    "sentences_per_class": None,
    "provenance": {"paper": "Somebody, 2025", "repository": "a/b", "commit": "c", "place": "a table"},
    "notes": ["Its sentences are not shipped."],
}
FOLLOWED = {
    "name": RECIPE_NAME,
    "hash": RECIPE["hash"],
    "deviations": [
        {"name": "views", "recipe": 100, "used": 8},
        {"name": "text_dropout", "recipe": True, "used": False},
    ],
    "notes": RECIPE_IN_FULL["notes"],
}
BACKBONES = [
    {"name": "embedded", "title": "Embedded encoder", "available": True, "note": ""},
    {"name": "biomedclip", "title": "BiomedCLIP", "available": False, "note": "784 MB."},
]
DESCRIPTIONS = {
    "id": "texts-1",
    "name": "First texts",
    "image_set_id": SET_ID,
    "version": 2,
    "versions": [{"version": n, "created_at": MADE, "author": "A. Reader", "note": ""} for n in (1, 2)],
    "source": "person",
    "sentences": {name: ["A sentence."] for name in CLASSES},
    "fingerprint": "d" * 64,
}
METRICS = {
    "accuracy": 0.8125,
    "balanced_accuracy": 0.8,
    "macro_f1": 0.79,
    "auroc": 0.93,
    "kappa": 0.71,
    "ece": 0.061,
}
INTERVALS = {
    name: {"low": value - 0.1, "high": min(1, value + 0.1), "n": 24, "interval": "95% over 24 images", "over": "images"}
    for name, value in METRICS.items()
}


def leakage(copies: int = 0, *, allowed: bool = False) -> dict[str, Any]:
    """What a run says of its leakage."""
    from core.images.leak_counts import Leakage, LeakCount

    count = LeakCount(copies, 24, copies // 2)
    return Leakage(count, LeakCount(1, 24, 0), LeakCount(0, 0, 0), LeakCount(0, 24, 0), 0, 0, allowed).as_dict()


def leakage_by_names(used: int) -> dict[str, Any]:
    """What a run says whose test images are named like those of other parts."""
    from core.images.leak_counts import Leakage, LeakCount

    none = LeakCount(0, 24, 0)
    return Leakage(none, none, LeakCount(0, 0, 0), LeakCount(20, 24, used), 0, 0, False).as_dict()


CALIBRATION = {
    "n": 3,
    "note": "Calibrated on 3 validation images only: take probabilities as rough.",
    "also_chose": ["the step that is kept"],
}
EPOCHS = [
    {"epoch": n, "loss": 1.2 / n, "terms": {"cross_entropy": 1.2 / n}, "learning_rate": 0.002, "train_accuracy": n / 10}
    for n in range(1, 9)
]


def job(state: str = "succeeded", **more: Any) -> dict[str, Any]:
    """One job in a state."""
    finished = state in {"succeeded", "failed", "cancelled"}
    return {
        "id": JOB_ID,
        "kind": "train",
        "state": state,
        "run_id": RUN_ID,
        "image_set": {"id": SET_ID, "name": IMAGE_SET["name"]},
        "label": NAME,
        "created_at": MADE,
        "started_at": None if state == "queued" else MADE,
        "finished_at": "2026-03-01T10:01:05+00:00" if finished else None,
        "stage": "training" if state == "running" else None,
        "done": 8,
        "total": 50,
        "epoch": 8,
        "epochs": 50,
        "seconds_per_epoch": 0.5,
        "seconds_left": 21.0,
        "heartbeat_age_s": 0.4,
        "queue_position": 1 if state == "queued" else None,
        "error": FAILURE if state == "failed" else None,
        "attempts": [{"number": 1, "state": state, "pid": 7, "started_at": MADE, "finished_at": None, "error": None}],
    } | more


FAILURE = {
    "code": "too_few_images",
    "message": "16 shots per class need 16 training images in each class; 'benign' has 9. Choose 8 shots.",
    "expected": "16 shots per class need 16 training images in each class",
    "found": "'benign' has 9",
    "remedy": "Choose 8 shots.",
}


def run(state: str = "succeeded", **more: Any) -> dict[str, Any]:
    """One run in a state."""
    done = state == "succeeded"
    return {
        "id": RUN_ID,
        "name": NAME,
        "job_id": JOB_ID,
        "state": state,
        "method": "coop",
        "method_title": "CoOp",
        "backbone": "embedded",
        "variant": "default",
        "recipe": None,
        "image_set": {"id": SET_ID, "name": IMAGE_SET["name"]},
        "shots": 8,
        "seed": 1,
        "options": {"epochs": 50},
        "epochs": 50,
        "seconds": 41.0,
        "n_train": 24,
        "n_val": 3,
        "n_test": 24,
        "metrics": METRICS if done else None,
        "intervals": INTERVALS if done else None,
        "leakage": leakage() if done else None,
        "known_classes": [] if done else None,
        "calibration": CALIBRATION if done else None,
        "model_id": MODEL_ID if done else None,
        "notes": ["The encoder has learned these classes before: its zero-shot is no zero-shot."],
        "classes": CLASSES,
        "confusion": [[7, 1, 0], [2, 6, 0], [0, 0, 8]] if done else [],
        "per_class": [
            {"class": name, "n": 8, "recall": 0.875, "precision": 0.8, "f1": 0.84, "auroc": 0.9} for name in CLASSES
        ]
        if done
        else [],
        "epoch_metrics": EPOCHS,
    } | more


def comparison(*, with_zero_shot: bool = True, **facts: Any) -> dict[str, Any]:
    """Two methods of one group, as the service compares them."""
    from core.evaluation.comparison import compare_runs

    place = {"fingerprint": "f" * 64, "backbone_checksum": "c" * 64} | facts
    runs = [
        run(id=f"run-{seed}", seed=seed, metrics=METRICS | {"accuracy": 0.75 + 0.05 * seed}) | place
        for seed in (1, 2, 3)
    ]
    if with_zero_shot:
        low = METRICS | {"accuracy": 0.35, "balanced_accuracy": 0.34}
        runs.append(run(id="run-0", method="zero_shot", method_title="Zero-shot", metrics=low, options={}) | place)
    runs.append(run("cancelled", id="run-9", name="CoOp, cancelled") | place)
    return compare_runs(runs)


EXPERIMENT_ID = "experiment-1"
PROTOCOLS = {"few-shot": ("test",), "base-to-novel": ("base", "novel")}


def finished_cells(protocol: str = "few-shot", sets: tuple[str, ...] = ("brain",), **record: Any) -> list[Any]:
    """Finished cells of three lines, made up: CoOp is better than the linear probe, which is better than zero-shot."""
    from core.experiments.finished import Answers, Finished

    draw, found = np.random.default_rng(7), []
    lines = {"zero_shot": (0.5, (1,)), "linear_probe": (0.62, (1, 2, 3)), "coop": (0.8, (1, 2, 3))}
    for image_set, shots, (method, (share, seeds)) in product(sets, (4, 16), lines.items()):
        for seed in seeds:
            parts = {}
            for part in PROTOCOLS[protocol]:
                if part == "novel" and method == "linear_probe":
                    continue
                labels = np.arange(120) % 3
                right = draw.random(120) < share + 0.005 * shots * (method != "zero_shot")
                told = np.where(right, labels, (labels + 1) % 3)
                probabilities = np.full((120, 3), 0.15)
                probabilities[np.arange(120), told] = 0.7
                names = tuple(f"{image_set}-{at}.png" for at in range(120))
                parts[part] = Answers(names, labels, probabilities, (None,) * 120, tuple(CLASSES))
            facts = {
                "id": f"{image_set}-{method}-{shots}-{seed}",
                "metrics": METRICS,
                "precision": "fp32",
                "backbone": "embedded",
                "options": {"batch_size": 8},
                "steps": None if method == "zero_shot" else 50 * shots,
                "seconds": {"zero_shot": 0.4, "linear_probe": 1.5, "coop": 9.0}[method],
                "training_seconds": {"zero_shot": 0.002, "linear_probe": 1.1, "coop": 8.5}[method],
                "feature_seconds": 25.0 if method == "zero_shot" else 0.1,
                "peak_mb": 420.0,
                "trainable_parameters": {"zero_shot": 0, "linear_probe": 195, "coop": 2048}[method],
                "gflops_per_image": 12.25,
                "n_train": 3 * shots,
                "n_val": 12,
                "n_test": 120,
                "notes": [],
            }
            found.append(Finished(image_set, method, method, shots, None, seed, None, facts | record, parts))
    return found


def spec(protocol: str = "few-shot", sets: tuple[str, ...] = ("brain",)) -> Any:
    """The experiment these cells are of."""
    from core.experiments.spec import parse_spec

    return parse_spec(
        {"name": "First <i>look</i>", "images": list(sets), "methods": ["coop", "linear_probe"]}
        | {"shots": [4, 16], "seeds": [1, 2, 3], "protocol": protocol}
    )


TITLES = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe", "coop": "CoOp"}
CELL_COUNTS = {"waiting": 0, "running": 0, "done": 14, "failed": 0}


def experiment(
    state: str = "done", protocol: str = "few-shot", sets: tuple[str, ...] = ("brain",), **record: Any
) -> dict[str, Any]:
    """An experiment with the rows that the service makes of its cells."""
    from core.experiments.rows import experiment_rows

    rows = experiment_rows(
        spec(protocol, sets), finished_cells(protocol, sets, **record), "zero_shot", ["linear_probe"]
    )
    whole = {"rows": rows, "spec": spec(protocol, sets).as_dict(), "titles": TITLES, "notes": []}
    return experiment_in_short(state, protocol) | whole


def in_progress(states: str, state: str = "running") -> dict[str, Any]:
    """The same experiment on its way: a letter for the state of each cell."""
    counts = {word: states.count(letter) for word, letter in zip(CELL_COUNTS, "wrdf", strict=True)}
    found = experiment_in_short(state, **counts)
    return found | {"states": states, "titles": TITLES, "spec": spec().as_dict(), "rows": None, "notes": []}


def cells() -> list[dict[str, Any]]:
    """The cells of the experiment, in order."""
    plain = ("image_set", "line", "method", "shots", "share", "seed", "descriptions")
    found = []
    for at, cell in enumerate(finished_cells()):
        own = {name: getattr(cell, name) for name in plain}
        found.append(own | {"id": f"cell-{at}", "position": at, "state": "done", "run": cell.record["id"]})
    return found


FAILED_CELL = {
    "id": "cell-13",
    "position": 13,
    "state": "failed",
    "image_set": "brain",
    "line": "coop",
    "method": "coop",
} | {
    "shots": 16,
    "share": None,
    "seed": 3,
    "error": FAILURE,
}


def experiment_in_short(state: str = "done", protocol: str = "few-shot", **cells: int) -> dict[str, Any]:
    """An experiment as lists have it."""
    counts = CELL_COUNTS | cells
    at_work = state in {"queued", "running"}
    return {
        "id": EXPERIMENT_ID,
        "name": "First <i>look</i>",
        "protocol": protocol,
        "backbone": "embedded",
        "hash": "e" * 64,
        "created_at": MADE,
        "state": state,
        "cells": counts,
        "n_cells": sum(counts.values()),
        "job": {"id": JOB_ID, "state": state if at_work else "succeeded", "note": None, "seconds_left": 21.0},
    }


ESTIMATE = {
    "n_cells": 14,
    "seconds": 372.0,
    "low": 240.0,
    "high": 720.0,
    "peak_mb": 812.0,
    "by_earlier_runs": ["coop"],
    "by_timing": [],
    "unknown": ["linear_probe"],
    "lines": [{"name": "zero_shot", "title": "Zero-shot"}, {"name": "coop", "title": "CoOp"}],
    "sentence": "14 cells, about 6 minutes.",
}


@cache
def matrix() -> dict[str, Any]:
    """Each line against each other."""
    from core.experiments.rows import comparison_matrix

    cells = [cell for cell in finished_cells() if cell.shots == 16]
    return {"matrix": json.loads(json.dumps(comparison_matrix(spec(), cells, "zero_shot").as_dict()))}


SUMMARY = {
    "part": "test",
    "parts": ["test"],
    "n_runs": 3,
    "n_images": 24,
    "classes": CLASSES,
    "confusion": [[21, 3, 0], [6, 18, 0], [0, 0, 24]],
    "per_class": [
        {"class": name, "n": 8, "recall": 0.875, "precision": 0.8, "f1": 0.84, "auroc": 0.9} for name in CLASSES
    ],
    "ece": 0.061,
    "brier": 0.21,
    "log_loss": 0.34,
    "calibration_error": None,
    "reliability": [
        {"low": 0.41, "high": 0.6, "n": 20, "confidence": 0.52, "accuracy": 0.55}
        | {"accuracy_low": 0.2, "accuracy_high": 0.85, "expected_low": 0.2, "expected_high": 0.84},
        {"low": 0.82, "high": 0.99, "n": 52, "confidence": 0.91, "accuracy": 0.96}
        | {"accuracy_low": 0.72, "accuracy_high": 0.99, "expected_low": 0.78, "expected_high": 1.0},
    ],
}
MISTAKEN = {
    "image_id": IMAGE_ID,
    "file": "test/benign/<b>scan</b>.png",
    "label": "benign",
    "predicted": "malignant",
    "group": None,
    "n_runs": 2,
    "probability": 0.62,
}


MODEL = {
    "id": MODEL_ID,
    "run_id": RUN_ID,
    "name": NAME,
    "method": "coop",
    "method_title": "CoOp",
    "backbone": "embedded",
    "classes": CLASSES,
    "image_set": {"id": SET_ID, "name": IMAGE_SET["name"]},
    "shots": 8,
    "seed": 1,
    "metrics": METRICS,
    "n_train": 24,
    "n_val": 0,
    "n_test": 24,
    "calibrated": False,
    "calibration": {"n": 0, "note": "No validation image was left.", "also_chose": []},
    "leakage": leakage(),
    "allowed_leakage": False,
    "known_classes": [],
    "intervals": INTERVALS,
    "created_at": MADE,
    "size_bytes": 8000,
    "trainable_parameters": 1536,
    "gflops_per_image": 12.25,
}
PROBABILITIES = {"benign": 0.305, "malignant": 0.62, "<b>normal</b>": 0.075}
PICTURE = {
    "windowing": {
        "low": 0.0,
        "high": 3990.0,
        "source": "data",
        "bits": 16,
        "kind": "unsigned",
        "declared_bits": None,
        "inverted": False,
        "padding": [],
        "sentence": "16-bit unsigned values, 0 shown as black and 3990 as white.",
    },
    "findings": [
        {
            "problem": "low_contrast",
            "expected": "a picture that uses more of its range",
            "found": "the picture uses a small part of its range",
            "sentence": "The picture uses a small part of its range: look at it before you trust an answer.",
        }
    ],
}
JUDGED = {
    "set": ["malignant", "benign"],
    "set_reason": None,
    "abstain": "2 classes remain at 90 %",
    "outside": {
        "score": 0.213,
        "p": 0.36,
        "nearest": [
            {"file": "a.png", "sha256": "b" * 64, "class": "malignant", "distance": 0.213, "image_id": IMAGE_ID},
            {"file": "b.png", "sha256": "c" * 64, "class": "<b>normal</b>", "distance": 0.25, "image_id": None},
        ],
    },
}
CLASSIFICATION = {
    "id": "answers-1",
    "model_id": MODEL_ID,
    "created_at": MADE,
    "images": [
        {"file": "<u>scan</u>.png", "image_id": IMAGE_ID, "label": "malignant", "probabilities": PROBABILITIES}
        | JUDGED
        | PICTURE
    ],
    "model_name": "CoOp",
    "n_images": 1,
    "n_problems": 1,
    "problems": [
        {"file": "notes.txt", "problem": "unreadable_image", "expected": "A PNG or JPEG image", "found": "found text"}
    ],
}
CLASSIFICATION_IN_SHORT = {key: CLASSIFICATION[key] for key in CLASSIFICATION if key not in ("images", "problems")}
IMAGE = {
    "id": IMAGE_ID,
    "image_set_id": SET_ID,
    "name": "scan.png",
    "class": "malignant",
    "part": "test",
    "group": None,
    "width": 64,
    "height": 64,
    "sha256": "a" * 64,
    "has_mask": True,
}
SHARES = {"zero_vectors": 0.25, "class_token": 0.15, "patches": 0.6, "entropy": 3.2}
PLAIN = {"zero_vectors": 0.0, "class_token": 0.2, "patches": 0.8, "entropy": 3.5}


def arrays() -> dict[str, np.ndarray]:
    """Maps on a 4 x 4 grid; the difference misses the patch that a zero vector replaced."""
    rising = np.linspace(0, 0.15, 16).reshape(4, 4)
    difference = rising - rising.T
    difference[0, 0] = np.nan
    return {"grad_cam": rising, "attention": rising, "difference": difference}


def npz() -> bytes:
    """The arrays as the server writes them."""
    stream = io.BytesIO()
    np.savez(stream, **arrays())
    return stream.getvalue()


def png(size_px: int = 64) -> bytes:
    """A grey square."""
    stream = io.BytesIO()
    Image.new("RGB", (size_px, size_px), (90, 90, 90)).save(stream, "PNG")
    return stream.getvalue()


def _map(kind: str, title: str, scale: list[float] | None, colours: str | None) -> dict[str, Any]:
    alt = f"{title}: strongest in the lower right."
    return {
        "kind": kind,
        "title": title,
        "alt": alt,
        "scale": scale,
        "colour_map": colours,
        "unit": "share per patch",
    } | {"url": f"/api/v1/explanations/explained-1/maps/{kind}"}


def _tested(kind: str, title: str, state: str, p: float, drop: float) -> dict[str, Any]:
    """One map's test."""
    rows = [
        {"blocks": n, "of": 12, "correlation": 0.5 / n, "low": 0.4 / n, "high": 0.6 / n, "seeds": 3} for n in (1, 3, 12)
    ]
    return {
        "kind": kind,
        "title": title,
        "class": "malignant",
        "per_class": kind != "attention",
        "state": state,
        "p": p,
        "p_worse": 0.02 if state == "worse than random" else 1.0,
        "drop": drop,
        "random_maps": 1567,
        "random_drop": 0.1,
        "random_low": -0.3,
        "random_high": 0.9,
        "squares": 36,
        "steps": [{"fraction": f, "patches": n, "drop": drop * f * 20} for f, n in ((0.02, 4), (0.05, 10), (0.1, 20))],
        "randomised": rows,
        "sentence": f"{title} was tested.",
    }


EXPLANATION = {
    "id": "explained-1",
    "model_id": MODEL_ID,
    "image_id": IMAGE_ID,
    "image": "scan.png",
    "class": "malignant",
    "predicted": "malignant",
    "probabilities": PROBABILITIES,
    **PICTURE,
    "seconds": 1.5,
    "created_at": MADE,
    "maps": [
        _map("original", "What the model sees", None, None),
        _map("grad_cam", "Grad-CAM for malignant", [0.0, 0.15], "cividis"),
        _map("attention", "Attention of this model", [0.0, 0.15], "cividis"),
        _map("difference", "Difference: with 1 zero vector minus without", [-0.1, 0.1], "vik"),
    ],
    "attention": {
        "layers": [SHARES] * 3,
        "mean": SHARES,
        "n_vectors": 1,
        "own_vectors": True,
        "vectors": "zero",
        "compared": {
            "n_vectors": 1,
            "mode": "replace",
            "without": {"layers": [PLAIN] * 3},
            "with": {"layers": [SHARES] * 3},
        },
    },
    "what_if": [
        {
            "zero_vectors": k,
            "mode": mode,
            "zero_share": 0.05 * k,
            "class_token_share": 0.2,
            "patch_share": 0.8 - 0.05 * k,
        }
        | {"entropy": 3.0, "class": "malignant", "top_probability": 0.62, "lesion_share": 0.3}
        for mode in ("replace", "insert")
        for k in (0, 1, 2, 4)
    ],
    "trust": {
        "explainer": "relevance",
        "model": {
            "metric": "balanced_accuracy",
            "value": 0.86,
            "low": 0.78,
            "high": 0.92,
            "chance": 0.5,
            "n": 96,
            "above_chance": True,
            "sentence": "Balanced accuracy of this model: 0.86 [0.78, 0.92] on 96 test images, above guessing (0.50).",
        },
        "true_class": "benign",
        "right": False,
        "maps": [
            _tested("relevance", "Gradient-weighted relevance for 'malignant'", "follows", 0.02, 1.8),
            _tested("attention", "Attention", "cannot tell", 0.31, 0.4),
        ],
        "others": [_tested("grad_cam", "Grad-CAM for 'malignant'", "worse than random", 1.0, -0.6)],
        "verdict": "Gradient-weighted relevance for 'malignant' was tested.",
    },
    "region": {
        "unit": "px",
        "maps": {
            "grad_cam": {"map_share": 0.3, "outside_share": 0.7, "area_share": 0.06, "enrichment": 5.0}
            | {"pointing_hit": True, "chance_hit": 0.1, "raw_inside": None, "raw_outside": None}
        },
        "source": "set",
        "note": "100 of the 400 marked pixels (25%) lie outside the part of the image the model sees.",
        "mask": FRAME | {"marked_px": 400, "seen_px": 300, "in_view": 0.75},
    },
    "signatures": [
        {"name": "border", "title": "Attention at the border", "fires": True, "value": 0.61, "limit": 0.4}
        | {"sentence": "Share of attention on the outermost patches: 0.61, limit 0.4. Look at the map with doubt."},
        {"name": "modality", "title": "Modality word", "fires": None, "value": None, "limit": None}
        | {"sentence": "Cannot be checked with this backbone."},
    ],
    "text": "The model calls this image 'malignant' (probability 0.62).",
    "notes": ["Zero vectors replaced 1 patch in the first row; it stays grey."],
    "disclaimer": "Research use only. Not for use in diagnostic procedures.",
}
