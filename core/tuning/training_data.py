"""What a method may learn from: batches of one epoch, features of all training images, and a validation part."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.backbones.contract import PartlyEncoded
from core.tuning.config import LoopConfig, steps_per_epoch
from core.tuning.views import CENTER


def epoch_generator(seed: int, epoch: int, purpose: str = "order") -> torch.Generator:
    """Randomness of one epoch; the same whether training ran through or was resumed before it."""
    number = int.from_bytes(hashlib.sha256(f"{seed}|{epoch}|{purpose}".encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


@dataclass
class Batch:
    """One step's images.

    labels: (batch,), int64. features: unit-norm (batch, joint_width), where the image path is cacheable; pixels:
    (batch, 3, size, size) otherwise, or the same pictures part-way through the tower (`Method.steady_layers`). views:
    further views of the same images by name, as features or pixels alike. extra: per-image side information by name.
    index: positions in the training part.
    """

    labels: Tensor
    features: Tensor | None = None
    pixels: Tensor | PartlyEncoded | None = None
    views: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Tensor] = field(default_factory=dict)
    index: Tensor | None = None


class TrainingData(ABC):
    """What a method may learn from. It has no test images.

    labels, validation_labels: int64, (train,) and (validation,). `validation_labels` may be empty: then nothing can
    be chosen on validation images and methods cross-fit inside the shots or leave a choice at its default. groups:
    int64 (train,), equal for images of one patient or other group, so that no choice inside the shots rests on images
    of one patient on both sides; without known groups each image has its own number.
    """

    labels: Tensor
    validation_labels: Tensor
    groups: Tensor

    @property
    def n_train(self) -> int:
        """Training images."""
        return len(self.labels)

    @property
    def has_validation(self) -> bool:
        """Whether there are further images to choose on."""
        return len(self.validation_labels) > 0

    @abstractmethod
    def train_features(self, augmentation: str = CENTER, view: int = 0) -> Tensor:
        """Unit-norm features (train, joint_width) of one view of each training image."""

    @abstractmethod
    def validation_features(self) -> Tensor:
        """Unit-norm features (validation, joint_width) of the centre views."""

    def unlabelled_features(self) -> Tensor:
        """Unit-norm features (unlabelled, joint_width) of pictures without labels; none for most methods."""
        return self.train_features()[:0]

    def validation_pixels(self) -> Tensor:
        """Model input (validation, 3, size, size) of the centre views, for methods that train on pixels."""
        raise NotImplementedError("this data was given without pixels to choose on")

    @torch.no_grad()
    def validation_hits(self, logits: Callable[[Tensor], Tensor]) -> int:
        """How many validation images are right by scores (images, classes) from their features; 0 without any."""
        if not self.has_validation:
            return 0
        return int((logits(self.validation_features()).argmax(dim=-1) == self.validation_labels).sum())

    @torch.no_grad()
    def validation_recall(self, logits: Callable[[Tensor], Tensor]) -> float:
        """Mean over the classes of the validation part of the share that is right; 0 without any."""
        if not self.has_validation:
            return 0.0
        right = logits(self.validation_features()).argmax(dim=-1) == self.validation_labels
        classes = self.validation_labels.unique()
        return float(torch.stack([right[self.validation_labels == each].float().mean() for each in classes]).mean())

    @abstractmethod
    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Batch]:
        """The batches of one epoch, the same for the same seed and epoch."""

    def steps_per_epoch(self, config: LoopConfig) -> int:
        """How many batches an epoch has."""
        return steps_per_epoch(self.n_train, config.batch_size, config.drop_last)


def group_numbers(groups: Sequence[str | None]) -> Tensor:
    """A number for each image, int64 (images,): equal where groups are, its own where the group is None."""
    number = {group: index for index, group in enumerate(dict.fromkeys(g for g in groups if g is not None))}
    own = range(len(number), len(number) + len(groups))
    return torch.tensor(
        [own[place] if group is None else number[group] for place, group in enumerate(groups)], dtype=torch.int64
    )


def groups_per_class(labels: Tensor, groups: Tensor) -> int:
    """The fewest groups (patients) that any class has images of."""
    pairs = torch.stack([labels, groups]).unique(dim=1)
    return int(pairs[0].bincount().min())
