"""Tip-Adapter: a cache of the training images, added to the zero-shot scores. Nothing is trained.

Paper: Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022.
Official code: gaopengcuhk/Tip-Adapter, commit d0e2d6f (no licence file); the port followed here is that of
HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The paper averages each key over ten augmented views (variant "paper"), the port takes one (variant
"reference"); the default is the centre view. The port averages raw features, here those of unit norm are averaged. The
logit scale is the model's own, not a constant. The weights are searched on validation images, or inside the shots with
each image's own key left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from core.tuning.cache_model import BLEND_CHOICE, Blend, affinity_scores, choose_blend, one_hot
from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Choice, Task
from core.tuning.option import option
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of Tip-Adapter."""

    search: bool = option(True, "Choose the cache's weight and sharpness on validation images or inside the shots.")


class TipAdapter(PlainTexts):
    """Keys are unit-norm training features, values their classes."""

    title = "Tip-Adapter"
    summary = "Remembers the training images and lets similar ones vote, beside the class sentences. No training."
    paper = "Zhang et al. Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification. ECCV 2022."
    code = "gaopengcuhk/Tip-Adapter, commit d0e2d6f; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "none (upstream), MIT (port)"
    trains = "nothing; keeps one key vector per training image"
    trains_by_steps = False
    variants: ClassVar = {
        "paper": {"support_view": "mild", "support_views": 10},
        "reference": {"support_view": "mild"},
    }

    keys: Tensor
    values: Tensor
    blend: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        device = task.backbone.device
        self.register_buffer("keys", torch.empty(0, task.backbone.joint_width, device=device))
        self.register_buffer("values", torch.empty(0, len(task.classes), device=device))
        self.register_buffer("blend", torch.ones(2, dtype=torch.float64, device=device))

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [BLEND_CHOICE] if config.search else []

    def fit_directly(self, data: TrainingData) -> None:
        self.keys = support_features(data, self.config)
        self.values = one_hot(data.labels, len(self.task.classes))

    def logits(self, features: Tensor) -> Tensor:
        alpha, beta = self.blend.tolist()
        return super().logits(features) + affinity_scores(features @ self.keys.T, self.values, Blend(alpha, beta))

    def tune(self, data: TrainingData) -> None:
        if not self.config.search:
            return
        found = choose_blend(data, self.keys, self.keys, self.values, super().logits)
        if found:
            self.blend = torch.tensor([found.alpha, found.beta], dtype=torch.float64, device=self.values.device)

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        for name in ("keys", "values", "blend"):
            setattr(self, name, state[name].to(self.values.device))
