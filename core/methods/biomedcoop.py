"""BiomedCoOp: CoOp drawn to the mean of a language model's descriptions, with outlying descriptions left out.

Paper: Koleilat, Asgariandehkordi, Rivaz, Xiao, BiomedCoOp: Learning to Prompt for Biomedical Vision-Language Models,
CVPR 2025.
Official code: HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The code announces an outlier test by the median absolute deviation but standardises once more, which
makes it the plain z-score of the scores; "z_score" does that directly (and cannot divide by zero), "mad" is the test
as announced. The code averages the anchor distance over features too and divides the divergence by images times
classes; "loss_reduction" sample is per class and per image, as the formulas read. Variant "paper" sets both. The
selection is made anew from the images of each step and shared by all classes, as published, so it works on as many
descriptions as the class with the fewest has; else all are used. Loss weights differ by data set there; the default is
one set for all. The second copy of the model that the code loads as image teacher gives the features we have already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.class_texts import LearnedWords
from core.tuning.contract import Batch, PromptConfig, Task
from core.tuning.losses import divergence
from core.tuning.option import option
from core.tuning.text_context import TextContext


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of BiomedCoOp."""

    anchor_weight: float = option(0.5, "Weight of the squared distance to the mean description.", bounds=(0.0, 1000.0))
    distillation_weight: float = option(
        0.5, "Weight of the distance to the scores the selected descriptions give.", bounds=(0.0, 1000.0)
    )
    outlier_limit: float = option(1.5, "Descriptions further out than this are left out.", bounds=(0.01, 100.0))
    selection: str = option("z_score", "How far out a description is.", choices=("z_score", "mad"), advanced=True)
    loss_reduction: str = option(
        "element",
        "What the two distances are divided by: every element, which the published weights are made for, or classes "
        "and images alone.",
        choices=("element", "sample"),
        advanced=True,
    )
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0025, "Step size after the first epoch.", bounds=(0.0, 100.0))
    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class BiomedCoOp(LearnedWords):
    """Cross-entropy + mean squared distance to the description anchors + divergence from selected descriptions."""

    title = "BiomedCoOp"
    summary = "Learns context words that stay near the class descriptions and ignores descriptions that do not fit."
    paper = "Koleilat et al. BiomedCoOp: Learning to Prompt for Biomedical Vision-Language Models. CVPR 2025."
    code = "HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "context words of the text prompt"
    needs = frozenset({"template", "descriptions"})
    variants: ClassVar = {"paper": {"selection": "mad", "loss_reduction": "sample"}}

    _anchors: Tensor
    _descriptions: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = TextContext(task.backbone, task.classes, config.template, n=config.context_length)
        self.register_buffer("_anchors", task.description_anchors(), persistent=False)
        self.register_buffer("_descriptions", task.description_bank(), persistent=False)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self.image_features(batch), self.class_features()
        logits = self.backbone.logit_scale * images @ texts.T
        teacher = self.backbone.logit_scale * images @ self.selected_anchors(images).T
        features, classes = (texts.shape[1], len(texts)) if self.config.loss_reduction == "sample" else (1, 1)
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "anchor": self.config.anchor_weight * features * functional.mse_loss(texts, self._anchors),
            "distillation": self.config.distillation_weight * classes * divergence(logits, teacher),
        }

    def selected_anchors(self, images: Tensor) -> Tensor:
        """Unit-norm mean (classes, joint_width) of the descriptions that do not lie out for these images."""
        cosines = torch.einsum("bd,cmd->bcm", images, self._descriptions)
        scores = self.backbone.logit_scale * cosines.amax(dim=1).mean(dim=0)
        kept = keep_inliers(scores, self.config.outlier_limit, self.config.selection)
        return functional.normalize(self._descriptions[:, kept].mean(dim=1), dim=-1)


def keep_inliers(scores: Tensor, limit: float, how: str) -> Tensor:
    """Which of (descriptions,) scores are within the limit: bool. All of them where there is no spread or too few."""
    if how == "mad":
        away = (scores - scores.median()).abs()
        spread = away.median()
    else:
        away, spread = (scores - scores.mean()).abs(), scores.std() if len(scores) > 1 else scores.new_zeros(())
    kept = away <= limit * spread
    return kept if bool(spread > 0) and bool(kept.any()) else torch.ones_like(kept)
