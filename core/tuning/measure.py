"""The third step of a training: what a fitted method says of images, and how good that is.

Nothing is learned or chosen here, so a method may be measured as often as wanted: on any part, on any other image set,
among some of its classes only, and after `rename_classes` among names it was not trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.descriptions.description_set import DescriptionSet
from core.errors import ClassMismatch
from core.evaluation.calibration import Temperature, apply_temperature
from core.evaluation.calibration_error import measured_calibration
from core.evaluation.metrics import confusion, metrics, per_class
from core.evaluation.model_intervals import model_intervals
from core.images.labelled_image import LabelledImage
from core.tuning.classifier import frozen_features
from core.tuning.contract import Method, Task
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features, view_pixels
from core.tuning.fitting import hidden_states
from core.tuning.progress import Progress, Report, unheard
from core.tuning.scores import predict_logits
from core.tuning.views import CENTER

PICTURES_PER_PASS = 64


@dataclass(frozen=True)
class Measurement:
    """What a method said of images.

    images: in order. classes: names that were asked about, in the order of the columns. of: all names of the image set;
    labels of the images count in it. logits: uncalibrated scores (images, classes). temperature: what they are divided
    by.
    """

    images: tuple[LabelledImage, ...]
    classes: tuple[str, ...]
    of: tuple[str, ...]
    logits: np.ndarray
    temperature: float = 1.0

    @cached_property
    def labels(self) -> np.ndarray:
        """True classes as positions in `classes`: int64 (images,)."""
        place = {name: index for index, name in enumerate(self.classes)}
        return np.array([place[self.of[image.label]] for image in self.images], dtype=np.int64)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Calibrated probabilities (images, classes); rows sum to 1."""
        return apply_temperature(self.logits, self.temperature)

    @property
    def groups(self) -> list[str | None]:
        """Each image's group (patient), None where unknown."""
        return [image.group for image in self.images]

    def metrics(self) -> dict[str, float | None]:
        """See `core.evaluation.metrics.metrics`."""
        return metrics(self.probabilities, self.labels)

    def confusion(self) -> list[list[int]]:
        """Counts by true (rows) and predicted class."""
        return confusion(self.labels, self.probabilities.argmax(axis=1), len(self.classes))

    def per_class(self) -> list[dict[str, Any]]:
        """See `core.evaluation.metrics.per_class`."""
        return per_class(self.probabilities, self.labels, list(self.classes))

    def intervals(self) -> dict[str, Any]:
        """See `core.evaluation.model_intervals.model_intervals`."""
        return model_intervals(self.probabilities, self.labels, self.groups)

    def calibration(self) -> dict[str, Any]:
        """See `core.evaluation.calibration_error.measured_calibration`."""
        known = [group for group in self.groups if group is not None]
        return measured_calibration(self.logits, self.temperature, self.labels, len(set(known)) < len(known))

    def among(self, classes: Sequence[str]) -> Measurement:
        """The images of these classes, asked about these classes only. Raises ClassMismatch for one never asked about.

        A subset of base-to-novel and similar protocols: scores of the other classes are left out before the softmax.
        """
        missing = [name for name in classes if name not in self.classes]
        if missing:
            raise ClassMismatch(
                f"Classes among {', '.join(self.classes)}",
                f"found {', '.join(repr(name) for name in missing)}",
                "Measure among classes the method was asked about.",
            )
        columns = [self.classes.index(name) for name in classes]
        kept = [row for row, image in enumerate(self.images) if self.of[image.label] in classes]
        images = tuple(self.images[row] for row in kept)
        return replace(self, images=images, classes=tuple(classes), logits=self.logits[np.ix_(kept, columns)])

    def rows(self) -> list[dict[str, Any]]:
        """One object an image: file, sha256, case, group, label, predicted, probabilities {class: p}.

        case: what stays the same wherever the image lies, its content's hash. label: of the image set's own names;
        predicted and the keys of probabilities: of the names that were asked about.
        """
        return [
            {
                "file": image.name,
                "sha256": image.sha256,
                "case": image.sha256,
                "group": image.group,
                "label": self.of[image.label],
                "predicted": self.classes[int(row.argmax())],
                "probabilities": dict(zip(self.classes, row.tolist(), strict=True)),
            }
            for image, row in zip(self.images, self.probabilities, strict=True)
        ]


def measure(
    method: Method,
    images: tuple[LabelledImage, ...],
    classes: tuple[str, ...],
    *,
    store: FeatureStore,
    temperature: Temperature | float = 1.0,
    progress: Report = unheard,
) -> Measurement:
    """What a fitted method says of images. classes: all names of their image set, in the order of labels.

    Raises ClassMismatch unless the method knows every class that has an image, InvalidInput for scores not finite.
    """
    known = method.task.classes
    missing = sorted({classes[image.label] for image in images} - set(known))
    if missing:
        raise ClassMismatch(
            f"Images of the classes {', '.join(known)}",
            f"some are of {', '.join(repr(name) for name in missing)}",
            "Give the method these names first, or leave the images out.",
        )
    value = temperature.value if isinstance(temperature, Temperature) else float(temperature)
    return Measurement(images, known, classes, _logits(method, images, store, progress), value)


def rename_classes(method: Method, classes: tuple[str, ...], descriptions: DescriptionSet, home: Path) -> Method:
    """The same fitted method with other class names, texts rebuilt: for classes it was not trained on.

    descriptions: sentences for the new names. home: of language models. Raises ClassMismatch for methods whose learned
    part belongs to the classes they were trained on.
    """
    if not method.can_rename_classes():
        raise ClassMismatch(
            "A method whose classes are words",
            f"{method.title} has learned weights for the classes it was trained on, so it cannot name new ones",
            "Choose a method that learns prompts or image features.",
        )
    old = method.task
    store = old.store or FeatureStore()
    states, _ = hidden_states(method.config, classes, old.backbone.device, store, home)
    texts = descriptions.for_classes(classes)
    task = Task(old.backbone, classes, texts, old.modality, old.seed, states, old.store, old.encoder)
    renamed = type(method)(method.config, task)
    renamed.take_learned_from(method)
    return renamed.eval()


def seen_features(
    method: Method, images: Sequence[LabelledImage], store: FeatureStore, progress: Report = unheard
) -> Tensor:
    """Unit-norm features (images, joint_width) of the centre views, as the method sees them; kept where it can be."""

    def report(done: int, total: int) -> None:
        progress(Progress("evaluation", done=done, total=total))

    tower = method.backbone
    if not images:
        return torch.empty(0, method.reader.joint_width, device=tower.device)
    if method.image_path(method.config) != "trained":
        return image_features(method.reader, images, store, tokens=method.visual_tokens(), progress=report)[:, 0]
    rows = []
    for start in range(0, len(images), PICTURES_PER_PASS):
        pixels = view_pixels(method.reader, images[start : start + PICTURES_PER_PASS], CENTER, 0, 0)
        rows.append(frozen_features(method, pixels.to(tower.device)))
        report(start + len(pixels), len(images))
    return torch.cat(rows)


def _logits(method: Method, images: tuple[LabelledImage, ...], store: FeatureStore, progress: Report) -> np.ndarray:
    """Uncalibrated scores (images, classes)."""
    if not images:
        return np.empty((0, len(method.task.classes)))
    return predict_logits(method, seen_features(method, images, store, progress)).cpu().numpy()
