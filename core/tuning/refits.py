"""A method fitted again without some of its images, so that these can calibrate sets after all.

Images that chose anything of a model but its temperature calibrate no sets. A closed-form method is cheap to fit: it
is fitted again without each fold of its shots, choices and all, and each fold is scored by the model that never saw it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.tuning.config import LoopConfig
from core.tuning.contract import Method
from core.tuning.folds import shot_folds
from core.tuning.training_data import Batch, TrainingData, groups_per_class
from core.tuning.views import CENTER

MOST_SHOTS = 1000
"""More images would need much room for the refits, and have enough left over anyway."""
MOST_NUMBERS = 4_000_000
"""Learned numbers of all refits together; leave-one-out keeps as many refits as images."""


class Refit(NamedTuple):
    """state: learned tensors without the held images. held: their positions among the training images."""

    state: dict[str, Tensor]
    held: np.ndarray


class WithoutFold(TrainingData):
    """Training data without some of its images; the validation part stays."""

    def __init__(self, data: TrainingData, kept: np.ndarray) -> None:
        self._data, self._kept = data, torch.from_numpy(kept).to(data.labels.device)
        self.labels, self.groups = data.labels[self._kept], data.groups[self._kept]
        self.validation_labels = data.validation_labels

    def train_features(self, augmentation: str = CENTER, view: int = 0) -> Tensor:
        return self._data.train_features(augmentation, view)[self._kept]

    def validation_features(self) -> Tensor:
        return self._data.validation_features()

    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Batch]:
        raise NotImplementedError("closed-form methods take no batches")


def refits(method: Method, data: TrainingData) -> list[Refit]:
    """Refits without each image where nothing is chosen and there is room, else without each of at most five folds.

    Of a group (patient) with several images all are left out together. None where a class has one image, or patient,
    only, where there are too many images, or for methods that train by steps or read unlabelled images.
    """
    if method.trains_by_steps or method.reads_unlabelled or data.n_train > MOST_SHOTS:
        return []
    if groups_per_class(data.labels, data.groups) < 2:
        return []
    groups = data.groups.cpu().numpy()
    single = [(np.flatnonzero(groups != one), np.flatnonzero(groups == one)) for one in np.unique(groups)]
    learned = sum(value.numel() for value in method.learned_state().values())
    chooses = bool(method.choices(method.config))
    folds = shot_folds(data.labels, data.groups) if chooses or learned * len(single) > MOST_NUMBERS else single
    return [Refit(_fitted_state(method, WithoutFold(data, np.asarray(kept))), np.asarray(held)) for kept, held in folds]


def _fitted_state(method: Method, data: TrainingData) -> dict[str, Tensor]:
    again = type(method)(method.config, method.task)
    again.prepare(data)
    again.fit_directly(data)
    again.eval()
    again.tune(data)
    return again.learned_state()
