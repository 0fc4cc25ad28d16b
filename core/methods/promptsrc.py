"""PromptSRC: IVLP held near the frozen model on three sides, ending with a weighted mean of all epochs.

Paper: Khattak, Wasim, Naseer, Khan, Yang, Khan, Self-regulating Prompts: Foundational Model Adaptation without
Forgetting, ICCV 2023.
Official code: muzairkhattak/PromptSRC (MIT).

Differences. The code divides the divergence of scores by images times classes, which its weights are made for; variant
"paper" divides it by the images alone. Its average takes in the frozen half-precision weights, which rounding then
changes; here what is learned is averaged. Its teacher is the mean of 60 sentences on natural pictures; here of 16 of
our own that name the kind of picture, averaged before they are normalised, as there. The averaging weights are those of
its few-shot training, mean and spread 30 of 50 epochs, in proportion at other lengths; others, as for some sets there
(45 and 5) or base-to-novel (15 and 1 of 20), are options. Words of deeper layers start as `ivlp` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.averaging import Averaged, gaussian_weights
from core.tuning.class_texts import ensemble_mean
from core.tuning.contract import Batch, Task
from core.tuning.deep_prompts import DeepPromptConfig, DeepPrompts
from core.tuning.losses import anchor_distance, divergence
from core.tuning.option import option

MEAN_SHARE = STD_SHARE = 0.6
"""Published: 30 of 50 epochs."""


@dataclass(frozen=True)
class Config(DeepPromptConfig):
    """Options of PromptSRC."""

    text_weight: float = option(25.0, "Weight of the distance to the plain class features.", bounds=(0.0, 1000.0))
    image_weight: float = option(
        10.0, "Weight of the distance to the image features of the untouched tower.", bounds=(0.0, 1000.0)
    )
    logit_weight: float = option(1.0, "Weight of the distance to the plain scores.", bounds=(0.0, 1000.0))
    loss_reduction: str = option(
        "element",
        "What the distance to the plain scores is divided by: images times classes, which the published weights are "
        "made for, or images alone.",
        choices=("element", "sample"),
        advanced=True,
    )
    gpa: bool = option(True, "End with a weighted mean of all epochs instead of the last one.", advanced=True)
    gpa_mean: float | None = option(
        None,
        "Epoch that weighs most in this mean; empty takes 60 % of the epochs.",
        unit="epochs",
        bounds=(0.0, 5000.0),
        advanced=True,
    )
    gpa_std: float | None = option(
        None,
        "Standard deviation of these weights; empty takes 60 % of the epochs.",
        unit="epochs",
        bounds=(0.01, 1e6),
        advanced=True,
    )
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))


class PromptSRC(Averaged, DeepPrompts):
    """Cross-entropy + distances of texts, images and scores to those of the frozen towers."""

    title = "PromptSRC"
    summary = "Like IVLP, but words, image features and scores may not wander far from the untouched model's. Slow."
    paper = (
        "Khattak, Wasim, Naseer, Khan, Yang, Khan. Self-regulating Prompts: Foundational Model Adaptation without "
        "Forgetting. ICCV 2023."
    )
    code = "muzairkhattak/PromptSRC"
    licence = "MIT"
    trains = "words and vectors in many layers of both towers"
    variants: ClassVar = {"paper": {"loss_reduction": "sample"}}

    _teacher: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("_teacher", ensemble_mean(task), persistent=False)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, plain = self.image_features(batch), self._plain_images(batch)
        texts, scale = self.class_features(), self.backbone.logit_scale
        logits, teacher = scale * images @ texts.T, scale * plain @ self._teacher.T
        classes = len(texts) if self.config.loss_reduction == "sample" else 1
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "text": self.config.text_weight * anchor_distance(texts, self._teacher),
            "image": self.config.image_weight * anchor_distance(images, plain),
            "logit": self.config.logit_weight * classes * divergence(logits, teacher),
        }

    @torch.no_grad()
    def _plain_images(self, batch: Batch) -> Tensor:
        """Unit-norm features of the same views in the untouched tower."""
        if batch.pixels is None:
            return self.image_features(batch)
        return functional.normalize(self.backbone.encode_images(batch.pixels), dim=-1)

    def epoch_weights(self) -> Tensor | None:
        epochs = self.config.epochs
        if not self.config.gpa:
            return None
        mean, std = self.config.gpa_mean, self.config.gpa_std
        return gaussian_weights(epochs, MEAN_SHARE * epochs if mean is None else mean, std or STD_SHARE * epochs)
