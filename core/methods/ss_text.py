"""SS-Text: class vectors in closed form from the sentence and the sum of the class's images.

Papers: Silva-Rodriguez et al., A Reality Check of Vision-Language Pre-training in Radiology, IPMI 2025 (SS-Text), and
the follow-up of the same authors at MICCAI 2025 (SS-Text+).
Official code: jusiro/SS-Text, commit 4ff4897, and jusiro/FCA, commit 7ef90c5 (no licence files); written from the
specification.

Differences. The default is SS-Text+: images weighted by their class's share, then each vector pushed away from the
mean of all; "text_weight" shots without "repulsion" is SS-Text, and none is the mean of the images alone. A class
without images keeps its sentence, where the published mean divides by zero. The published floor of the weight binds
beyond 1,000 images only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.cache_model import one_hot
from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Task
from core.tuning.option import option
from core.tuning.prototypes import class_confidence
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

CONSTANT = 0.1


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of SS-Text."""

    text_weight: str = option(
        "class_shots",
        "How much the sentence counts beside the images: less with all images, with those of the class, by how sure it "
        "already is of them, always a tenth, or not at all.",
        choices=("shots", "class_shots", "performance", "constant", "none"),
    )
    repulsion: bool = option(True, "Push each class vector away from the mean of all by a unit vector.")
    weight_floor: float = option(1e-3, "Least weight of the sentence; 0 sets none.", bounds=(0.0, 1.0), advanced=True)


class SSText(PlainTexts):
    """w = t + scale / (N weight) x sum of the class's images; scores are scaled cosines with w."""

    title = "SS-Text"
    summary = "Adds each class's images to its sentence in one step. No training; serves classes without images too."
    paper = "Silva-Rodriguez et al. A Reality Check of Vision-Language Pre-training in Radiology. IPMI 2025."
    code = "jusiro/SS-Text, commit 4ff4897; jusiro/FCA, commit 7ef90c5"
    licence = "none (no licence files)"
    trains = "one vector per class, in closed form"
    trains_by_steps = False
    variants: ClassVar = {"reference": {"text_weight": "shots", "repulsion": False}}

    weight: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("weight", self._classes.clone())

    def class_features(self) -> Tensor:
        return functional.normalize(self.weight, dim=-1)

    def fit_directly(self, data: TrainingData) -> None:
        images, texts = support_features(data, self.config), self._classes
        members = one_hot(data.labels, len(texts))
        sums, counts = members.T @ images, members.sum(dim=0)
        if self.config.text_weight == "none":
            self.weight = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], texts)
        else:
            weights = self._weights(counts, images, data.labels).clamp_min(self.config.weight_floor)
            gains = self.backbone.logit_scale / (len(images) * weights)
            # a class without images has an endless weight: it keeps its sentence
            self.weight = texts + gains[:, None] * sums
        if self.config.repulsion:
            self.weight = self.weight - functional.normalize(2 * self.weight - self.weight.mean(dim=0), dim=-1)

    def _weights(self, counts: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Weight of the sentence (classes,): lambda of the papers."""
        if self.config.text_weight == "class_shots":
            return 1 / counts
        if self.config.text_weight == "performance":
            return class_confidence(self._classes, self.backbone.logit_scale, images, labels)
        return torch.full_like(counts, CONSTANT if self.config.text_weight == "constant" else 1 / len(images))
