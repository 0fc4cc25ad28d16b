"""The last step of a training: the card that says everything about it, and the model folder."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.evaluation.calibration import FEW_IMAGES, Temperature
from core.images.check import picture_notes
from core.images.image_set import ImageSet
from core.images.leak_counts import Leakage
from core.peak_memory import peak_memory_mb
from core.tuning.artifact import save_artifact
from core.tuning.classifier import Classifier
from core.tuning.feature_store import Computed
from core.tuning.fitting import Fitted
from core.tuning.flops import gflops_per_image
from core.tuning.measure import Measurement
from core.tuning.recipe import deviations, recipe_record
from core.tuning.run_notes import chosen_on_validation, known_classes, run_notes
from core.tuning.seen import Seen
from core.tuning.trusting import trust_sentence

PACKAGES = ("promptoscope", "torch", "torchvision", "open-clip-torch", "timm", "transformers", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def run_card(
    fitted: Fitted,
    measured: Measurement,
    image_set: ImageSet,
    leakage: Leakage,
    *,
    shots: int | None,
    seconds: float,
    computed: Computed,
    notes: Sequence[str] = (),
    trust: Mapping[str, Any] | None = None,
    asked: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Everything about a run, JSON-ready. measured: on the test part. notes: further ones, said first.

    shots: images per class that were asked for, None for all. seconds: of the whole run. computed: what of them went
    into features that are kept, and so are paid by whichever run comes first. trust: of sets and distances, see
    `core.tuning.trusting`; None where they were not calibrated. asked: all classes that were measured on any part,
    where these are more than those of image_set.
    """
    method, draw, report = fitted.method, fitted.draw, fitted.report
    tower, task, temperature = method.backbone, method.task, fitted.temperature
    said = [*image_set.notes, *_pictures(image_set), *notes, *fitted.notes]
    return {
        "method": method.card()["name"],
        "title": method.title,
        "backbone": tower.name,
        "backbone_checksum": tower.checksum,
        "classes": list(task.classes),
        "image_set": {"name": image_set.name, "fingerprint": image_set.fingerprint},
        "seed": task.seed,
        "options": method.config.as_dict(),
        "epochs": report.epochs,
        "steps": report.steps,
        "training_seconds": round(report.seconds, 3),
        "trained_together": report.together,
        "feature_seconds": round(computed.seconds, 3),
        "encoded_pictures": computed.pictures,
        "n_train": len(draw.train),
        "n_val": len(draw.validation),
        "n_test": len(measured.images),
        "unlabelled_images": fitted.unlabelled,
        "metrics": measured.metrics(),
        "confusion": measured.confusion(),
        "per_class": measured.per_class(),
        "temperature": temperature.value,
        "calibrated": temperature.n > 0,
        "modality": task.modality,
        "descriptions": {
            "source": task.descriptions.source,
            "fingerprint": task.descriptions.fingerprint,
            "sentences": {name: list(texts) for name, texts in task.descriptions.sentences.items()},
        },
        "trainable_parameters": method.learned_numbers(),
        "gflops_per_image": round(gflops_per_image(method), 4),
        "device": str(tower.device),
        "precision": tower.precision,
        "peak_mb": round(peak_memory_mb(), 1),
        "versions": versions(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "intervals": measured.intervals(),
        "leakage": leakage.as_dict(),
        "known_classes": known_classes(method, asked or image_set.classes),
        # how far probabilities can be trusted: images behind them, what these chose besides, what the test part says
        "calibration": {
            "n": temperature.n,
            "note": temperature.note,
            "also_chose": chosen_on_validation(method, draw),
            "measured": measured.calibration(),
            "sets": None if trust is None else {**trust, "sentence": trust_sentence(trust)},
        },
        "variant": fitted.setup.variant,
        "recipe": _followed(fitted, shots),
        "shots": shots,
        "notes": [*said, *run_notes(method, draw, image_set, leakage, asked), *_few(temperature)],
        "seconds": round(seconds, 3),
    }


def save_model(card: dict[str, Any], fitted: Fitted, folder: Path, seen: Seen | None = None) -> Classifier:
    """Write the model folder; gives the model as it would be loaded."""
    save_artifact(folder, card, fitted.method.learned_state(), seen)
    return Classifier(fitted.method, {"format": 1, **card}, folder, seen)


def run_record(card: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The card with its fixed names: descriptions by source, the model by folder."""
    found = card["descriptions"]
    return card | {
        "descriptions": found["source"],
        "descriptions_fingerprint": found["fingerprint"],
        "fingerprint": card["image_set"]["fingerprint"],
        "model": str(folder),
    }


def model_folder_name(method: str) -> str:
    """A new name for a model folder in the home."""
    when = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{method}-{when}-{secrets.token_hex(3)}"


def _few(temperature: Temperature) -> list[str]:
    """That probabilities rest on few images, where they do."""
    return [temperature.note] if 0 < temperature.n < FEW_IMAGES else []


def _pictures(image_set: ImageSet) -> list[str]:
    """What is to be said of the pictures of a set that was read before anybody looked at them."""
    return [note for note in picture_notes(image_set) if note not in image_set.notes]


def _followed(fitted: Fitted, shots: int | None) -> dict[str, Any] | None:
    """What the run says of its recipe; None without one."""
    recipe, task = fitted.setup.recipe, fitted.method.task
    if recipe is None:
        return None
    found = deviations(
        recipe,
        fitted.method.config,
        shots=shots,
        seed=task.seed,
        classes=task.classes,
        backbone=task.backbone.name,
        descriptions=task.descriptions,
    )
    return recipe_record(recipe, found)
