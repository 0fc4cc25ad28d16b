"""TaskRes: the class sentences' features plus a learned residual.

Paper: Yu, Lu, Jin, Chen, Wang, Task Residual for Tuning Vision-Language Models, CVPR 2023.
Official code: geekyutao/TaskRes, commit 5195359 (MIT).

Differences. The published text features keep their own length, so that a residual of a given size turns them less; by
default all have one fixed length ("text_norm" empty takes their own: variant "reference"). Its share and rate differ by
data set there without a stated choice; the defaults are one set for all. The "enhanced" start needs weights that are
only to be downloaded and is left out. A fixed number of views stands for a new one each epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from core.tuning.contract import SCHEDULES, augmentation_option
from core.tuning.option import option
from core.tuning.prototypes import PrototypeConfig, Prototypes

FEW_SHOTS, FEW_EPOCHS = 4, 100
"""Up to 4 images a class half of the epochs, as published."""


@dataclass(frozen=True)
class Config(PrototypeConfig):
    """Options of TaskRes."""

    share: float = option(0.5, "Share of the residual that is added.", bounds=(0.0, 100.0))
    epochs_by_shots: bool = option(True, "Up to 4 images per class at most 100 epochs, as published.", advanced=True)
    epochs: int = option(200, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(256, "Images per step.", unit="images", bounds=(1, 4096))
    drop_last: bool = option(True, "Images that fill no batch are left out of an epoch.", advanced=True)
    learning_rate: float = option(0.002, "Step size after the first epoch.", bounds=(0.0, 100.0))
    optimizer: str = option("adam", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    weight_decay: float = option(5e-4, "Weight decay.", bounds=(0.0, 10.0), advanced=True)
    schedule: str = option("cosine", "Course of the learning rate.", choices=SCHEDULES, advanced=True)
    augmentation: str = augmentation_option("crop_flip")

    def settled(self, images: int, classes: int) -> Self:
        if not self.epochs_by_shots or self.updates is not None or images // classes > FEW_SHOTS:
            return super().settled(images, classes)
        return replace(self, epochs=min(self.epochs, FEW_EPOCHS))


class TaskRes(Prototypes):
    """Class vectors are R t + share x, with x learned from zero."""

    title = "TaskRes"
    summary = "Keeps the class sentences and learns a correction to each. Very fast."
    paper = "Yu, Lu, Jin, Chen, Wang. Task Residual for Tuning Vision-Language Models. CVPR 2023."
    code = "geekyutao/TaskRes, commit 5195359"
    licence = "MIT"
    trains = "one residual vector per class"
    variants: ClassVar = {"reference": {"text_norm": None}}

    def first_values(self) -> Tensor:
        return torch.zeros_like(self.start)

    def class_vectors(self) -> Tensor:
        return self.start + self.config.share * self.learned
