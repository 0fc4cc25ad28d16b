"""Tip-Adapter-F: a cache of the training images, fine-tuned, added to the zero-shot scores.

Paper: Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022.
Official code: gaopengcuhk/Tip-Adapter, commit d0e2d6f (no licence file); the port followed here is that of
HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. In the published port the trained keys share memory with every trial and the optimiser holds a discarded
tensor, so its announced epochs change nothing: here the keys are trained. Upstream picks the epoch on test images; here
it is picked on validation images, with the last epoch where there are none. Published weights of the cache while
training are searched over ten values; here both are 1 while training, as in the paper, and searched afterwards. The
logit scale is the model's own, not a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from core.tuning.cache_model import Blend, affinity_scores, leave_own_out, one_hot, search_blend
from core.tuning.contract import SCHEDULES, LoopConfig, Method, Task
from core.tuning.option import option

if TYPE_CHECKING:
    from core.tuning.data import TrainingData


@dataclass(frozen=True)
class Config(LoopConfig):
    """Options of Tip-Adapter-F."""

    support_view: str = option(
        "center",
        "View of each training image that becomes its key.",
        choices=("center", "mild", "crop", "crop_flip"),
    )
    search: bool = option(True, "Choose the cache's weight and sharpness on validation images or inside the shots.")
    epochs: int = option(20, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(256, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.001, "Step size at the start.", bounds=(0.0, 100.0))
    optimizer: str = option("adamw", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    epsilon: float = option(1e-4, "Stabiliser of Adam and AdamW.", bounds=(0.0, 1.0), advanced=True)
    weight_decay: float = option(0.01, "Weight decay.", bounds=(0.0, 10.0), advanced=True)
    schedule: str = option(
        "cosine_by_step",
        "Course of the learning rate.",
        choices=SCHEDULES,
        advanced=True,
    )
    augmentation: str = option(
        "mild",
        "How views are drawn: crop (8 to 100 % of the area), crop_flip, mild (50 to 100 %, flip) or center (none).",
        choices=("crop", "crop_flip", "mild", "center"),
    )


class TipAdapterF(Method):
    """Keys start as the training features and are trained with alpha = beta = 1; then both are searched."""

    title = "Tip-Adapter-F"
    summary = "Remembers the training images and compares new ones with them, then fine-tunes that memory. Fast."
    paper = "Zhang et al. Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification. ECCV 2022."
    code = "gaopengcuhk/Tip-Adapter, commit d0e2d6f; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "none (upstream), MIT (port)"
    trains = "one key vector per training image"
    needs = frozenset({"template"})
    variants: ClassVar = {"reference": {"support_view": "mild", "views": 1}}

    _classes: Tensor
    values: Tensor
    blend: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        device = task.backbone.device
        self.register_buffer("_classes", task.template_features(config.template), persistent=False)
        self.keys = nn.Parameter(torch.empty(0, task.backbone.joint_width, device=device))
        self.register_buffer("values", torch.empty(0, len(task.classes), device=device))
        self.register_buffer("blend", torch.ones(2, dtype=torch.float64, device=device))
        self._best_keys, self._best_hits = torch.empty(0), -1

    def prepare(self, data: TrainingData) -> None:
        self._data = data
        keys = data.train_features(self.config.support_view)
        self.keys = nn.Parameter(keys.clone())
        self.values = one_hot(data.labels, len(self.task.classes))

    def class_features(self) -> Tensor:
        return self._classes

    def logits(self, features: Tensor) -> Tensor:
        alpha, beta = (1.0, 1.0) if self.training else self.blend.tolist()
        return super().logits(features) + affinity_scores(features @ self.keys.T, self.values, Blend(alpha, beta))

    def after_epoch(self, epoch: int) -> None:
        if not self._data.has_validation:
            return
        with torch.no_grad():
            found = self.logits(self._data.validation_features()).argmax(dim=-1)
        hits = int((found == self._data.validation_labels).sum())
        if hits > self._best_hits:
            self._best_keys, self._best_hits = self.keys.detach().clone(), hits

    def after_training(self) -> None:
        if self._best_hits >= 0:
            self.keys = nn.Parameter(self._best_keys)

    def tune(self, data: TrainingData) -> None:
        if not self.config.search:
            return
        if data.has_validation:
            images, labels = data.validation_features(), data.validation_labels
            affinity = images @ self.keys.detach().T
        elif int(data.labels.bincount().min()) > 1:
            # trained keys know their own image, so the choice inside the shots is made with the keys as they began
            images, labels = data.train_features(self.config.support_view), data.labels
            affinity = leave_own_out(images @ images.T)
        else:
            return
        found = search_blend(affinity, self.values, super().logits(images), labels)
        self.blend = torch.tensor([found.alpha, found.beta], dtype=torch.float64, device=self.values.device)

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        device = self.values.device
        if self.keys.shape != state["keys"].shape:
            self.keys = nn.Parameter(torch.empty_like(state["keys"], device=device))
        with torch.no_grad():
            # in place, since an optimiser may hold this very tensor
            self.keys.copy_(state["keys"])
        self.values, self.blend = state["values"].to(device), state["blend"].to(device)

    def training_state(self) -> dict[str, Tensor]:
        return {"best_keys": self._best_keys, "best_hits": torch.tensor(self._best_hits)}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self._best_keys, self._best_hits = state["best_keys"].to(self.keys.device), int(state["best_hits"])
