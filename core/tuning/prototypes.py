"""One vector a class, started at the class's sentence and trained: what several simple baselines share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import PlainTexts
from core.tuning.contract import SCHEDULES, LoopConfig, Task, augmentation_option
from core.tuning.option import option

TEXT_NORM = 10.0
"""Between the 7 and 11 that raw text features of contrastive towers have."""
AS_PUBLISHED: dict[str, Any] = {
    "text_norm": None,
    "augmentation": "crop_flip",
    "views": 20,
    "batch_size": 256,
    "drop_last": True,
    "schedule": "cosine",
}
"""The options of CLAP's own code (jusiro/CLAP, commit dbdf409)."""


@dataclass(frozen=True)
class PrototypeConfig(LoopConfig):
    """Options of methods that train one vector a class: full batches of centre views, no weight decay."""

    text_norm: float | None = option(
        TEXT_NORM,
        "Length of the class vectors at the start, which sets how far one step turns them; empty: the length that the "
        "text tower gives.",
        bounds=(1e-3, 1e4),
        advanced=True,
    )
    epochs: int = option(300, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(4096, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.1, "Step size at the start.", bounds=(0.0, 100.0))
    drop_last: bool = option(False, "Images that fill no batch are left out of an epoch.", advanced=True)
    weight_decay: float = option(0.0, "Weight decay.", bounds=(0.0, 10.0), advanced=True)
    schedule: str = option("cosine_by_step", "Course of the learning rate.", choices=SCHEDULES, advanced=True)
    augmentation: str = augmentation_option("center")


class Prototypes(PlainTexts):
    """Scores are scaled cosines with one learned vector a class; the logit scale stays the model's own.

    Gradients are orthogonal to a vector and shrink with its length R, so that training at R with rate r equals
    training unit vectors with rate r / R^2. `start` (classes, joint_width) is R times the sentence's feature.
    """

    trains_a_head = True

    start: Tensor

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        norm: Tensor | float = config.text_norm or task.template_norms(config.template)
        self.register_buffer("start", self._classes * norm, persistent=False)
        self.learned = nn.Parameter(self.first_values())

    def first_values(self) -> Tensor:
        """What is learned, at its start (classes, joint_width)."""
        return self.start.clone()

    def step_passes(self) -> AbstractContextManager[None]:
        # no step passes a tower, so nothing is won by rounding
        return nullcontext()

    def class_vectors(self) -> Tensor:
        """The class vectors (classes, joint_width), of any length."""
        return self.learned

    def class_features(self) -> Tensor:
        return functional.normalize(self.class_vectors(), dim=-1)


@torch.no_grad()
def class_confidence(texts: Tensor, scale: Tensor | float, images: Tensor, labels: Tensor) -> Tensor:
    """Mean zero-shot probability of the own class (classes,), over each class's images.

    texts (classes, width), images (images, width): of unit norm. A class without images gets the mean of the others.
    Source: CLAP, its class-wise multipliers.
    """
    own = (scale * images @ texts.T).softmax(dim=-1).gather(1, labels[:, None])[:, 0]
    counts = labels.bincount(minlength=len(texts))
    sums = torch.zeros(len(texts), device=own.device).index_add_(0, labels, own)
    means = sums / counts.clamp_min(1)
    return torch.where(counts > 0, means, means[counts > 0].mean())
