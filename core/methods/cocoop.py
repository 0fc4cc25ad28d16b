"""CoCoOp: context words that a small network shifts for each image.

Paper: Zhou, Yang, Loy, Liu, Conditional Prompt Learning for Vision-Language Models, CVPR 2022.
Official code: KaiyangZhou/CoOp; the settings for BiomedCLIP are those of HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The BiomedCLIP trainers use a rate of 0.001, the original 0.002 (variant "paper"). Both use batches of
one image; larger ones are the same computation, since images never meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.tuning.class_texts import LearnedWords
from core.tuning.contract import PromptConfig, Task
from core.tuning.option import option
from core.tuning.text_context import TextContext


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of CoCoOp."""

    reduction: int = option(
        16, "The network's hidden layer is the feature width divided by this.", bounds=(1, 256), advanced=True
    )
    epochs: int = option(10, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(1, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.001, "Step size after the first epoch.", bounds=(0.0, 100.0))


class CoCoOp(LearnedWords):
    """Every context vector is shifted by the same vector, computed from the unit-norm image feature."""

    title = "CoCoOp"
    summary = "Like CoOp, but the learned words adapt to each image. Slower: texts are read anew for every image."
    paper = "Zhou, Yang, Loy, Liu. Conditional Prompt Learning for Vision-Language Models. CVPR 2022."
    code = "KaiyangZhou/CoOp; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "context words and a small network that shifts them by image"
    per_image_text = True
    variants: ClassVar = {"paper": {"learning_rate": 0.002, "augmentation": "crop_flip"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        backbone = task.backbone
        self.context = TextContext(backbone, task.classes, config.template, n=config.context_length)
        hidden = max(1, backbone.joint_width // config.reduction)
        with task.initial_values():
            first, second = nn.Linear(backbone.joint_width, hidden), nn.Linear(hidden, backbone.text_width)
        self.meta_net = nn.Sequential()
        self.meta_net.add_module("linear1", first)
        self.meta_net.add_module("relu", nn.ReLU())
        self.meta_net.add_module("linear2", second)
        self.meta_net.to(backbone.device)

    def logits(self, features: Tensor) -> Tensor:
        shift = self.meta_net(features)[:, None, None, :]
        texts = self.context.features(self.context.vectors + shift, dropout=self.drops_text)
        return self.backbone.logit_scale * torch.einsum("bd,bcd->bc", features, texts)
