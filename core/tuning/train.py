"""From an image set to a trained, measured and saved model: the one path that library, command line and jobs share.

Draw, fit, measure, seal; `core.experiments` takes the same steps for many cells at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.images.image_set import ImageSet
from core.images.leak_counts import count_leakage
from core.settings import Settings
from core.tuning.classifier import Classifier
from core.tuning.drawing import draw_images
from core.tuning.feature_store import FeatureStore
from core.tuning.fitting import Setup, fit_classifier
from core.tuning.judge import Judge
from core.tuning.measure import measure, seen_features
from core.tuning.method_cards import starter_method
from core.tuning.progress import Progress, Report, unheard
from core.tuning.recipe import get_recipe
from core.tuning.registry import get_method
from core.tuning.seal import model_folder_name, run_card, run_record, save_model
from core.tuning.trusting import calibrate_trust, measured_trust


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    record: everything about it, JSON-ready. predictions: one object per test image. drawn: file and sha256 of the
    images it learned from ("train") and of those that tuned or calibrated it ("validation").
    """

    record: dict[str, Any]
    predictions: list[dict[str, Any]]
    model: Classifier
    drawn: dict[str, list[dict[str, str]]]


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
    setup = Setup(
        method or (followed.method if followed else starter_method()),
        variant,
        dict(options or {}),
        epochs,
        views,
        modality or image_set.modality,
        template,
        followed,
    )
    get_method(setup.method)  # an unknown name is refused before anything else is done
    progress(Progress("images"))
    draw = draw_images(image_set, shots, seed, allow_leakage)
    leakage = count_leakage(image_set, [*draw.train, *draw.validation], allow_leakage)
    progress(Progress("backbone"))
    tower = backbone
    if not isinstance(tower, Backbone):
        tower = load_backbone(tower, device=device, precision=precision, home=home)
    store = FeatureStore(home / "cache" / "features.sqlite")
    fitted = fit_classifier(
        setup,
        tower,
        image_set.classes,
        draw,
        seed=seed,
        store=store,
        home=home,
        descriptions=descriptions,
        progress=progress,
        checkpoint_dir=checkpoint_dir,
    )
    measured = measure(
        fitted.method,
        image_set.part("test"),
        image_set.classes,
        store=store,
        temperature=fitted.temperature,
        progress=progress,
    )
    seen, trust = calibrate_trust(fitted, store)
    judge = Judge(fitted.method, fitted.temperature.value, seen, trust["reason"])
    trust["measured"] = measured_trust(judge, seen_features(fitted.method, measured.images, store), measured)
    store.close()
    spent = time.monotonic() - started
    card = run_card(
        fitted, measured, image_set, leakage, shots=shots, seconds=spent, computed=store.computed, trust=trust
    )
    folder = (out or home / "models" / model_folder_name(card["method"])).resolve()
    progress(Progress("saving"))
    model = save_model(card, fitted, folder, seen)
    return TrainedRun(run_record(card, folder), measured.rows(), model, draw.as_dict())
