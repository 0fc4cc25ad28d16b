"""From an image set to a trained, measured and saved model: the one path that library, command line and jobs share."""

from __future__ import annotations

import hashlib
import platform
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import class_template, template_descriptions
from core.errors import Leakage, TooFewImages
from core.evaluation.calibration import Temperature, apply_temperature, fit_temperature
from core.evaluation.metrics import confusion, metrics, per_class
from core.evaluation.model_intervals import model_intervals
from core.images.check import picture_notes
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, digest
from core.images.leak_counts import count_leakage
from core.images.leakage import find_leaks
from core.images.shots import ShotDraw, draw_shots
from core.peak_memory import peak_memory_mb
from core.settings import Settings
from core.tuning.artifact import save_artifact
from core.tuning.checkpoint import Checkpoint
from core.tuning.classifier import Classifier, frozen_features, predict_logits
from core.tuning.contract import Method, MethodConfig, Task
from core.tuning.data import ImageData
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features, view_pixels
from core.tuning.hidden_states import LanguageModel
from core.tuning.loop import FitReport, fit
from core.tuning.method_cards import starter_method
from core.tuning.presets import resolve_config
from core.tuning.progress import Progress, Report, unheard
from core.tuning.recipe import Recipe, deviations, get_recipe, recipe_record
from core.tuning.registry import get_method
from core.tuning.run_notes import chosen_on_validation, known_classes, run_notes
from core.tuning.views import CENTER

PACKAGES = ("promptoscope", "torch", "torchvision", "open-clip-torch", "timm", "transformers", "numpy", "pillow")
TEST_PICTURES_PER_PASS = 64


@dataclass(frozen=True)
class TrainedRun:
    """A finished run. record: everything about it, JSON-ready. predictions: one object per test image."""

    record: dict[str, Any]
    predictions: list[dict[str, Any]]
    model: Classifier


def train(
    image_set: ImageSet,
    method: str | None = None,
    *,
    backbone: str | Backbone = "embedded",
    shots: int | None = 16,
    seed: int = 1,
    epochs: int | None = None,
    views: int | None = None,
    options: Mapping[str, Any] | None = None,
    variant: str = "default",
    recipe: str | None = None,
    descriptions: DescriptionSet | None = None,
    modality: str | None = None,
    template: str | None = None,
    out: Path | None = None,
    home: Path | None = None,
    progress: Report = unheard,
    checkpoint_dir: Path | None = None,
    allow_leakage: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> TrainedRun:
    """Train a method on an image set, measure it on the test part, and save the model.

    method: a name; None takes the recipe's, else the one that is offered first. recipe: the name of published settings
    to start from, see `core.tuning.recipe`; what is given beside it is recorded as a deviation. shots: training images
    per class; None takes all. views: augmented views per training image. options: values by name, see `Method.Config`.
    descriptions: sentences per class; without them sentences are made from the class names. out: the model folder;
    without it a new one under the home. home: of features and models. progress: called through; it may raise Cancelled.
    checkpoint_dir: where the state after each epoch is kept and looked for.

    Raises InvalidOption, NotFound, TooFewImages, Leakage, ClassMismatch, Unavailable.
    """
    started = time.monotonic()
    home = home or Settings().home
    followed = get_recipe(recipe) if recipe else None
    method = method or (followed.method if followed else starter_method())
    kind, modality = get_method(method), modality or image_set.modality
    progress(Progress("images"))
    draw = _draw(image_set, shots, seed, allow_leakage)
    leakage = count_leakage(image_set, [*draw.train, *draw.validation], allow_leakage)
    progress(Progress("backbone"))
    tower = backbone
    if not isinstance(tower, Backbone):
        tower = load_backbone(tower, device=device, precision=precision, home=home)
    # a recipe brings a sentence of its own, which only one given on purpose replaces
    sentence = class_template(None if followed else modality, template)
    config, notes = resolve_config(
        kind,
        tower.name,
        variant=variant,
        options=options,
        epochs=epochs,
        views=views,
        template=sentence,
        recipe=followed,
    )
    config = config.settled(len(draw.train), len(image_set.classes))
    store = FeatureStore(home / "cache" / "features.sqlite")
    texts = (descriptions or template_descriptions(image_set.classes, modality, template)).for_classes(
        image_set.classes
    )
    states, said = _hidden_states(config, image_set.classes, tower.device, store, home, progress)
    task = Task(tower, image_set.classes, texts, modality=modality, seed=seed, store=store, hidden_states=states)
    built = kind(config, task)
    data = _data(built, draw, store, seed, progress)
    if kind.trains_by_steps:
        data.warm()
    purpose = _purpose(image_set, tower, method, config, task, shots)
    checkpoint = Checkpoint(checkpoint_dir, purpose) if checkpoint_dir else None
    report = fit(built, data, seed=seed, report=progress, checkpoint=checkpoint)
    progress(Progress("tuning"))
    built.tune(data)
    temperature = _calibrate(built, data)
    test = image_set.part("test")
    probabilities = apply_temperature(_test_logits(built, test, store, progress), temperature)
    labels = np.array([image.label for image in test])
    card = _card(image_set, built, config, draw, labels, probabilities, temperature, report)
    card |= {
        "intervals": model_intervals(probabilities, labels, [image.group for image in test]),
        "leakage": leakage.as_dict(),
        "known_classes": known_classes(tower, image_set.classes),
        "calibration": _calibration(temperature, built, draw),
        "variant": variant,
        "recipe": _followed(followed, built, shots),
        "shots": shots,
        "notes": [*image_set.notes, *_pictures(image_set), *notes, *said, *run_notes(built, draw, image_set, leakage)],
        "seconds": round(time.monotonic() - started, 3),
    }
    folder = (out or home / "models" / _folder_name(card)).resolve()
    progress(Progress("saving"))
    save_artifact(folder, card, built.learned_state())
    store.close()
    model = Classifier(built, {"format": 1, **card}, folder)
    return TrainedRun(_record(card, folder), _predictions(test, image_set.classes, probabilities), model)


def _pictures(image_set: ImageSet) -> list[str]:
    """What is to be said of the pictures of a set that was read before anybody looked at them."""
    return [note for note in picture_notes(image_set) if note not in image_set.notes]


def _purpose(
    image_set: ImageSet, tower: Backbone, method: str, config: MethodConfig, task: Task, shots: int | None
) -> str:
    """A text that is equal for trainings that may go on from each other's state: all that their steps depend on."""
    states = [f"{name} {_checksum(values)}" for name, values in sorted(task.hidden_states.items())]
    parts = [image_set.fingerprint, task.descriptions.fingerprint, *states, tower.checksum, tower.precision, method]
    return digest([*parts, str(config), str(shots), str(task.seed)])


def _checksum(values: Tensor) -> str:
    return hashlib.sha256(values.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def _followed(recipe: Recipe | None, method: Method, shots: int | None) -> dict[str, Any] | None:
    """What the run says of its recipe; None without one."""
    if recipe is None:
        return None
    task = method.task
    found = deviations(
        recipe,
        method.config,
        shots=shots,
        seed=task.seed,
        classes=task.classes,
        backbone=task.backbone.name,
        descriptions=task.descriptions,
    )
    return recipe_record(recipe, found)


def _draw(image_set: ImageSet, shots: int | None, seed: int, allow_leakage: bool) -> ShotDraw:
    """The drawn images, after the refusals that need no model."""
    absent = [name for name, row in image_set.counts().items() if not row["test"]]
    if absent:
        raise TooFewImages(
            "Every class needs test images to be measured on",
            f"none for {', '.join(repr(name) for name in absent)}",
            "Add images to the test part.",
        )
    leaks = [] if allow_leakage else find_leaks(image_set)
    if leaks:
        named = "; ".join(f"{leak.file}: {leak.found}" for leak in leaks[:3])
        raise Leakage(
            "Training and test part share no image and no patient",
            f"{len(leaks)} do ({named})",
            "Remove them, or allow leakage knowing that the metrics are then too good.",
        )
    return draw_shots(image_set, shots, seed)


def _hidden_states(
    config: MethodConfig,
    classes: tuple[str, ...],
    device: torch.device,
    store: FeatureStore,
    home: Path,
    progress: Report,
) -> tuple[dict[str, Tensor], list[str]]:
    """States by class of the language model that the options name, and notes on it; nothing where they name none."""
    name = str(getattr(config, "language_model", "")).strip()
    if not name:
        return {}, []
    progress(Progress("states"))
    model = LanguageModel(name, home, device)
    states = model.states(classes, store, lambda done, total: progress(Progress("states", done=done, total=total)))
    return states, [f"Hidden states come from the language model '{name}' with the checksum {model.checksum[:12]}."]


def _data(method: Method, draw: ShotDraw, store: FeatureStore, seed: int, progress: Report) -> ImageData:
    config = method.config
    return ImageData(
        method.backbone,
        draw,
        store,
        seed=seed,
        path=method.image_path(config),
        tokens=method.visual_tokens(),
        # what is not trained by steps asks for its views itself
        augmentation=getattr(config, "augmentation", CENTER),
        views=getattr(config, "views", 1),
        extra_views=method.extra_views,
        steady_layers=method.steady_layers(),
        progress=lambda done, total: progress(Progress("features", done=done, total=total)),
    )


def _calibrate(method: Method, data: ImageData) -> Temperature:
    """The temperature from validation images; 1 where there are none."""
    if not data.has_validation:
        return Temperature(1.0, 0, "No validation image was left: probabilities are not calibrated.")
    if method.image_path(method.config) == "trained":
        features = frozen_features(method, data.validation_pixels())
    else:
        features = data.validation_features()
    logits = predict_logits(method, features)
    return fit_temperature(logits.cpu().numpy(), data.validation_labels.cpu().numpy())


def _calibration(temperature: Temperature, method: Method, draw: ShotDraw) -> dict[str, Any]:
    """How far probabilities can be trusted: validation images behind them, and what these chose besides."""
    return {"n": temperature.n, "note": temperature.note, "also_chose": chosen_on_validation(method, draw)}


def _test_logits(method: Method, test: tuple[LabelledImage, ...], store: FeatureStore, progress: Report) -> np.ndarray:
    """Uncalibrated scores (images, classes) of the test part."""

    def report(done: int, total: int) -> None:
        progress(Progress("evaluation", done=done, total=total))

    tower = method.backbone
    if method.image_path(method.config) == "trained":
        rows = []
        for start in range(0, len(test), TEST_PICTURES_PER_PASS):
            pixels = view_pixels(tower, test[start : start + TEST_PICTURES_PER_PASS], CENTER, 0, 0)
            rows.append(frozen_features(method, pixels.to(tower.device)))
            report(start + len(pixels), len(test))
        features = torch.cat(rows)
    else:
        features = image_features(tower, test, store, tokens=method.visual_tokens(), progress=report)[:, 0]
    return predict_logits(method, features).cpu().numpy()


def _card(
    image_set: ImageSet,
    method: Method,
    config: MethodConfig,
    draw: ShotDraw,
    labels: np.ndarray,
    probabilities: np.ndarray,
    temperature: Temperature,
    report: FitReport,
) -> dict[str, Any]:
    tower, task = method.backbone, method.task
    return {
        "method": method.card()["name"],
        "title": method.title,
        "backbone": tower.name,
        "backbone_checksum": tower.checksum,
        "classes": list(task.classes),
        "image_set": {"name": image_set.name, "fingerprint": image_set.fingerprint},
        "seed": task.seed,
        "options": config.as_dict(),
        "epochs": report.epochs,
        "steps": report.steps,
        "training_seconds": round(report.seconds, 3),
        "n_train": len(draw.train),
        "n_val": len(draw.validation),
        "n_test": len(labels),
        "metrics": metrics(probabilities, labels),
        "confusion": confusion(labels, probabilities.argmax(axis=1), len(task.classes)),
        "per_class": per_class(probabilities, labels, list(task.classes)),
        "temperature": temperature.value,
        "calibrated": temperature.n > 0,
        "modality": task.modality,
        "descriptions": {
            "source": task.descriptions.source,
            "fingerprint": task.descriptions.fingerprint,
            "sentences": {name: list(texts) for name, texts in task.descriptions.sentences.items()},
        },
        "trainable_parameters": sum(p.numel() for p in method.parameters() if p.requires_grad),
        "device": str(tower.device),
        "precision": tower.precision,
        "peak_mb": round(peak_memory_mb(), 1),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _record(card: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The card with its fixed names: descriptions by source, the model by folder."""
    found = card["descriptions"]
    return card | {
        "descriptions": found["source"],
        "descriptions_fingerprint": found["fingerprint"],
        "fingerprint": card["image_set"]["fingerprint"],
        "model": str(folder),
    }


def _predictions(
    test: tuple[LabelledImage, ...], classes: tuple[str, ...], probabilities: np.ndarray
) -> list[dict[str, Any]]:
    return [
        {
            "file": image.name,
            "sha256": image.sha256,
            "label": classes[image.label],
            "predicted": classes[int(row.argmax())],
            "probabilities": dict(zip(classes, row.tolist(), strict=True)),
        }
        for image, row in zip(test, probabilities, strict=True)
    ]


def _folder_name(card: dict[str, Any]) -> str:
    when = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{card['method']}-{when}-{secrets.token_hex(3)}"
