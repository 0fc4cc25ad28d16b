"""CLIP-Adapter: a small network that adjusts the image features.

Paper: Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024.
Official code: gaopengcuhk/CLIP-Adapter; the settings for BiomedCLIP are those of HealthX-Lab/BiomedCoOp, commit
7ceb5a8 (MIT).

Differences. The published port mixes half and half and does not bring the mixed feature to unit norm, so that its
length scales the scores: variant "reference". The default follows the paper: 0.2, unit norm. The port's schedule is
stepped by batch though its length is counted in epochs, so that its rate swings: "cosine_swing" repeats that, the
default falls to zero once. As run, the last epoch is used, not the best one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import PlainTexts
from core.tuning.config import AdapterConfig
from core.tuning.contract import Task
from core.tuning.option import option


@dataclass(frozen=True)
class Config(AdapterConfig):
    """Options of CLIP-Adapter."""

    ratio: float = option(0.2, "Share of the adapted feature in the mix.", bounds=(0.0, 1.0))
    unit_norm: bool = option(True, "Bring the mixed feature to unit norm.", advanced=True)
    reduction: int = option(
        4, "The network's hidden layer is the feature width divided by this.", bounds=(1, 256), advanced=True
    )
    learning_rate: float = option(0.01, "Step size after the warm-up.", bounds=(0.0, 100.0))
    momentum: float = option(0.0, "Momentum of SGD.", bounds=(0.0, 1.0), advanced=True)
    weight_decay: float = option(0.0, "Weight decay.", bounds=(0.0, 10.0), advanced=True)


class CLIPAdapter(PlainTexts):
    """Image feature v becomes a A(v) + (1 - a) v, with A two bias-free layers and two ReLUs."""

    title = "CLIP-Adapter"
    summary = "Adjusts the image features with a small network; the class sentences stay as they are."
    paper = "Gao et al. CLIP-Adapter: Better Vision-Language Models with Feature Adapters. IJCV 2024."
    code = "gaopengcuhk/CLIP-Adapter; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "a two-layer network on image features"
    renames_classes = True
    variants: ClassVar = {"reference": {"ratio": 0.5, "unit_norm": False, "schedule": "cosine_swing"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        width = task.backbone.joint_width
        with task.initial_values():
            hidden = max(1, width // config.reduction)
            self.fc = nn.Sequential(
                nn.Linear(width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, width, bias=False), nn.ReLU()
            ).to(task.backbone.device)

    def logits(self, features: Tensor) -> Tensor:
        mixed = self.config.ratio * self.fc(features) + (1 - self.config.ratio) * features
        return super().logits(functional.normalize(mixed, dim=-1) if self.config.unit_norm else mixed)
