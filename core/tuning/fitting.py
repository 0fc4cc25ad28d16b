"""The second step of a training: a method on a backbone, fitted to drawn images and calibrated."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import class_template, template_descriptions
from core.evaluation.calibration import Temperature, fit_temperature
from core.images.labelled_image import LabelledImage, digest
from core.images.shots import ShotDraw
from core.tuning.checkpoint import Checkpoint
from core.tuning.classifier import frozen_features
from core.tuning.contract import Method, MethodConfig, Task
from core.tuning.data import ImageData
from core.tuning.feature_store import FeatureStore
from core.tuning.hidden_states import LanguageModel
from core.tuning.loop import FitReport, Training, can_share_steps, fit_together
from core.tuning.presets import resolve_config
from core.tuning.progress import Progress, Report, unheard
from core.tuning.recipe import Recipe
from core.tuning.registry import get_method
from core.tuning.scores import predict_logits
from core.tuning.second_encoder import named_encoder
from core.tuning.unlabelled import unlabelled_pool
from core.tuning.views import CENTER


@dataclass(frozen=True)
class Setup:
    """What is trained and how, whatever the images: a method with its options, and the words it starts from.

    options: values by name, see `Method.Config`. epochs, views: as options, for methods that have them. modality: what
    the pictures are. template: a sentence with {} for the class name. recipe: published settings to start from.
    """

    method: str
    variant: str = "default"
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    views: int | None = None
    modality: str | None = None
    template: str | None = None
    recipe: Recipe | None = None

    def config(self, backbone: str) -> tuple[MethodConfig, list[str]]:
        """The options on a backbone of this name, and notes on them. Raises InvalidOption."""
        # a recipe brings a sentence of its own, which only one given on purpose replaces
        sentence = class_template(None if self.recipe else self.modality, self.template)
        return resolve_config(
            get_method(self.method),
            backbone,
            variant=self.variant,
            options=self.options,
            epochs=self.epochs,
            views=self.views,
            template=sentence,
            recipe=self.recipe,
        )

    def descriptions(self, classes: tuple[str, ...], given: DescriptionSet | None) -> DescriptionSet:
        """The sentences of these classes: the given ones, else such as are made from the names."""
        return (given or template_descriptions(classes, self.modality, self.template)).for_classes(classes)


@dataclass(frozen=True)
class Fitted:
    """A method that has learned from drawn images.

    draw: these images. report: its seconds hold all that the method itself took, fitting, choosing and calibrating, and
    no features that were computed for it and kept. temperature: what its scores are divided by. notes: of presets, of
    the method and of a language model, in sentences. unlabelled: pictures without labels that were learned from, None
    for a method that reads none.
    """

    method: Method
    setup: Setup
    draw: ShotDraw
    report: FitReport
    temperature: Temperature
    notes: tuple[str, ...]
    unlabelled: int | None = None


@dataclass(frozen=True)
class Seeded:
    """One of several trainings that differ in their seed, and in the images it drew."""

    draw: ShotDraw
    seed: int
    progress: Report = unheard
    checkpoint_dir: Path | None = None


def fit_classifier(
    setup: Setup,
    backbone: Backbone,
    classes: tuple[str, ...],
    draw: ShotDraw,
    *,
    seed: int,
    store: FeatureStore,
    home: Path,
    descriptions: DescriptionSet | None = None,
    progress: Report = unheard,
    checkpoint_dir: Path | None = None,
) -> Fitted:
    """Train the method of a setup on drawn images and calibrate it.

    classes: names in the order of the images' labels. descriptions: sentences per class; without them sentences are
    made from the names. store: of features. home: of language models. checkpoint_dir: where the state after each epoch
    is kept and looked for. Raises InvalidOption, NotFound, ClassMismatch, Unavailable, InvalidInput.
    """
    one = [Seeded(draw, seed, progress, checkpoint_dir)]
    return fit_classifiers(setup, backbone, classes, one, store=store, home=home, descriptions=descriptions)[0]


def fit_classifiers(
    setup: Setup,
    backbone: Backbone,
    classes: tuple[str, ...],
    seeded: Sequence[Seeded],
    *,
    store: FeatureStore,
    home: Path,
    descriptions: DescriptionSet | None = None,
) -> list[Fitted]:
    """`fit_classifier` for several seeds: in step where the method allows it, else one after the other."""
    texts, kind = setup.descriptions(classes, descriptions), get_method(setup.method)
    made, data, notes, pools = [], [], [], []
    for each in seeded:
        config, said = setup.config(backbone.name)
        config = config.settled(len(each.draw.train), len(classes))
        states, told = hidden_states(config, classes, backbone.device, store, home, each.progress)
        task = Task(
            backbone,
            classes,
            texts,
            modality=setup.modality,
            seed=each.seed,
            store=store,
            hidden_states=states,
            encoder=named_encoder(kind, config, backbone.device, home),
        )
        method = kind(config, task)
        pool = unlabelled_pool(config.as_dict()["unlabelled"], each.draw) if kind.reads_unlabelled else None
        images = image_data(method, each.draw, store, each.progress, pool.images if pool else ())
        if method.trains_by_steps:
            images.warm()
        made.append(method)
        data.append(images)
        further = [each.sentence for each in (task.encoder, pool) if each]
        notes.append((*said, *told, *further))
        pools.append(len(pool.images) if pool else None)
    trainings = [
        Training(
            method,
            images,
            each.seed,
            each.progress,
            Checkpoint(each.checkpoint_dir, _purpose(method, setup.method, each.draw)) if each.checkpoint_dir else None,
        )
        for method, images, each in zip(made, data, seeded, strict=True)
    ]
    sizes = {len(each.draw.train) for each in seeded}
    if len(sizes) == 1 and can_share_steps(made[0]):
        reports = _own_seconds(store, trainings)
    else:
        reports = [report for training in trainings for report in _own_seconds(store, [training])]
    found = []
    for method, images, each, report, told_of, pool_size in zip(made, data, seeded, reports, notes, pools, strict=True):
        each.progress(Progress("tuning"))
        started, before = time.monotonic(), store.computed
        method.tune(images)
        temperature = _calibrate(method, images)
        tuned = time.monotonic() - started - (store.computed - before).seconds
        full = replace(report, seconds=report.seconds + tuned)
        found.append(Fitted(method, setup, each.draw, full, temperature, told_of, pool_size))
    return found


def _own_seconds(store: FeatureStore, trainings: Sequence[Training]) -> list[FitReport]:
    """Train them, and report seconds without those that features took which are kept for whoever comes next."""
    before = store.computed
    reports = fit_together(trainings)
    spent = (store.computed - before).seconds / len(reports)
    return [replace(report, seconds=max(0.0, report.seconds - spent)) for report in reports]


def hidden_states(
    config: MethodConfig,
    classes: tuple[str, ...],
    device: torch.device,
    store: FeatureStore,
    home: Path,
    progress: Report = unheard,
) -> tuple[dict[str, Tensor], list[str]]:
    """States by class of the language model that the options name, and notes on it; nothing where they name none."""
    name = str(getattr(config, "language_model", "")).strip()
    if not name:
        return {}, []
    progress(Progress("states"))
    model = LanguageModel(name, home, device)
    states = model.states(classes, store, lambda done, total: progress(Progress("states", done=done, total=total)))
    return states, [f"Hidden states come from the language model '{name}' with the checksum {model.checksum[:12]}."]


def _purpose(method: Method, name: str, draw: ShotDraw) -> str:
    """A text that is equal for trainings that may go on from each other's state: all that their steps depend on."""
    task, tower = method.task, method.backbone
    states = [f"{each} {_checksum(values)}" for each, values in sorted(task.hidden_states.items())]
    drawn = [f"{i.sha256} {i.label} {i.part}" for i in (*draw.train, *draw.validation)]
    second = task.encoder.checksum if task.encoder else ""
    parts = [
        second,
        *task.classes,
        *drawn,
        task.descriptions.fingerprint,
        *states,
        tower.checksum,
        tower.precision,
        name,
    ]
    return digest([*parts, str(method.config), str(len(draw.train)), str(task.seed)])


def _checksum(values: Tensor) -> str:
    return hashlib.sha256(values.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def image_data(
    method: Method,
    draw: ShotDraw,
    store: FeatureStore,
    progress: Report = unheard,
    unlabelled: tuple[LabelledImage, ...] = (),
) -> ImageData:
    """What a method learns from: the drawn images, and those without labels, seen as its options say."""
    config = method.config
    return ImageData(
        method.backbone,
        draw,
        store,
        seed=method.task.seed,
        path=method.image_path(config),
        tokens=method.visual_tokens(),
        # what is not trained by steps asks for its views itself
        augmentation=getattr(config, "augmentation", CENTER),
        views=getattr(config, "views", 1),
        extra_views=method.extra_views,
        steady_layers=method.steady_layers(),
        reader=method.reader,
        unlabelled=unlabelled,
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
