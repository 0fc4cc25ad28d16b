"""LASP: learned words that must be recognised among hand-written sentences, with the image tower's norms trained along.

Paper: Bulat, Tzimiropoulos, LASP: Text-to-Text Optimization for Language-Aware Soft Prompting of Vision & Language
Models, CVPR 2023.
Official code: 1adrianb/lasp (MIT).

Differences. In the paper each learned text is classified against the written ones; in the code the soft-max of the
text-to-text term runs over the learned texts: the default, since the published results come from it ("softmax_over",
variant "paper" has the other). The paper's groups of prompts, each with its own sentences, are not in the code and not
offered. Names of classes that are not trained on never enter the loss; in the code they do. Its 35 sentences on
natural pictures are here 16 of our own that name the kind of picture. The shift of text features lives in the joint
space; the code sizes it by the text tower, which only CLIP's equal widths allow. The published epochs (25, 50 or 300)
and weights (5 or 10) differ by data set; the default is 50 epochs at 10. Gradients are shortened to length 1, as its
mixed-precision branch does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import ensemble_bank
from core.tuning.contract import Batch, Task
from core.tuning.image_norms import NormsConfig, TunedNorms
from core.tuning.losses import softmax_over_option, text_to_text
from core.tuning.option import option
from core.tuning.text_context import TextContext

NOISE, NOISE_CHANCE = 0.05, 0.5
"""Added to every entry of the written features in half of the steps; not normalised again."""


@dataclass(frozen=True)
class Config(NormsConfig):
    """Options of LASP."""

    text_weight: float = option(10.0, "Weight of the text-to-text term.", bounds=(0.0, 1000.0))
    softmax_over: str = softmax_over_option()
    noise: bool = option(True, "Noise on the written texts' features in half of the steps.", advanced=True)
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))


class LASP(TunedNorms):
    """Cross-entropy of images + weight x cross-entropy of learned among written texts."""

    title = "LASP"
    summary = (
        "Like CoOp, but the learned words must still mean their class among plain sentences. Also trains the image "
        "tower's norms. Slow."
    )
    paper = (
        "Bulat, Tzimiropoulos. LASP: Text-to-Text Optimization for Language-Aware Soft Prompting of Vision & Language "
        "Models. CVPR 2023."
    )
    code = "1adrianb/lasp"
    licence = "MIT"
    trains = "context words, a shift of text features, and the norms of the image tower"
    variants: ClassVar = {"paper": {"softmax_over": "written"}}

    _written: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
        self.shift = nn.Parameter(torch.zeros(1, tower.joint_width, device=tower.device))
        self.register_buffer("_written", ensemble_bank(task), persistent=False)

    def class_features(self) -> Tensor:
        """The shift is added before the features are normalised."""
        return functional.normalize(self.context.raw_features(dropout=self.drops_text) + self.shift, dim=-1)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        texts, scale = self.class_features(), self.backbone.logit_scale
        logits = scale * self.image_features(batch) @ texts.T
        known = text_to_text(texts, self._noisy(), scale, self.config.softmax_over)
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "text": self.config.text_weight * known,
        }

    def _noisy(self) -> Tensor:
        """The written features (sentences, classes, joint_width), in half of the steps with noise."""
        if not self.config.noise or torch.rand(()).item() >= NOISE_CHANCE:
            return self._written
        noise = torch.randn(self._written.shape).to(self._written.device)
        return self._written + NOISE * noise
