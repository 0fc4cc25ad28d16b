"""LP++: a linear probe that blends in the class sentences, with step sizes that follow from the data.

Paper: Huang, Shakeri, Dolz, Boudiaf, Bahig, Ben Ayed, LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP, CVPR
2024.
Official code: FereshteShakeri/FewShot-CLIP-Strong-Baseline, commit f81054f; the port followed here is that of
HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

The text-informed linear probe of Shakeri et al., Few-Shot Adaptation of Medical Vision-Language Models, MICCAI 2024, is
this method with other settings: options "weight_rate", "rate_factor", "choose_by" and 200 iterations in histology. Its
code classifies randomly changed test images; here test images are never changed.

Differences, each an option. As published, the gradient of the blend is never cleared, so that its step at iteration 10
j uses the sum over all of them ("sum"; "fresh" clears it), and the weights start at the sum of a class's features,
rounded to half precision ("sum"; "mean"). Published runs read the test accuracy whenever validation ties or improves;
here the state is kept and tested once; without validation images the last state is used. Published biases start at
random and features come from one random crop (variant "reference"); here they start at zero, from the centre view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Choice, Task
from core.tuning.option import option
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

ALPHA_EVERY = 10
ALPHA_START = 250.0
MOMENTUM = 0.9


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of LP++."""

    iterations: int = option(300, "Full-batch updates.", unit="steps", bounds=(1, 100_000))
    weight_rate: str = option(
        "spectral",
        "Step size of weights and biases: from the largest eigenvalue of the images' features, or from the logarithm "
        "of the images per class.",
        choices=("spectral", "log_shots"),
        advanced=True,
    )
    rate_factor: float = option(
        1.0, "What the rate by log_shots is multiplied by: 1 or 5 as published.", bounds=(1e-3, 1e3), advanced=True
    )
    choose_by: str = option(
        "accuracy",
        "What makes one step better than another on validation images: accuracy, or the mean recall of the classes.",
        choices=("accuracy", "balanced"),
        advanced=True,
    )
    weight_start: str = option("sum", "What a class's weight starts from.", choices=("sum", "mean"), advanced=True)
    alpha_gradient: str = option(
        "sum", "Gradient of the blend: summed up since the start, or fresh.", choices=("sum", "fresh"), advanced=True
    )
    bias_start: str = option(
        "zero",
        "Where the biases start: at zero, or at random, which lets the order of classes matter.",
        choices=("zero", "random"),
        advanced=True,
    )


class LPPlusPlus(PlainTexts):
    """Scores are W v + b + alpha (v . text), with one alpha a class and no logit scale."""

    title = "LP++"
    summary = "A linear probe that also listens to the class sentences. No settings to choose; very fast."
    paper = "Huang et al. LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP. CVPR 2024."
    code = "FereshteShakeri/FewShot-CLIP-Strong-Baseline, commit f81054f; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "a linear classifier and one blend weight per class"
    trains_by_steps = False
    fitted = ("weight", "bias", "alpha")
    variants: ClassVar = {"reference": {"bias_start": "random", "support_view": "mild"}}

    weight: Tensor
    bias: Tensor
    alpha: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        classes, width, device = len(task.classes), task.backbone.joint_width, task.backbone.device
        start = torch.zeros(classes)
        if config.bias_start == "random":
            start = (torch.rand(classes, generator=task.generator()) * 2 - 1) / width**0.5
        self.register_buffer("weight", torch.zeros(classes, width, device=device))
        self.register_buffer("bias", start.to(device))
        self.register_buffer("alpha", torch.zeros(classes, device=device))

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [Choice("the step that is kept")]

    def logits(self, features: Tensor) -> Tensor:
        return blended(features, self._classes, self.weight, self.bias, self.alpha)

    def fit_directly(self, data: TrainingData) -> None:
        images, labels = support_features(data, self.config), data.labels
        weight, alpha = self._start(images, labels)
        bias = self.bias.clone()
        weight_rate = self._weight_rate(images)
        own = images @ self._classes.T
        alpha_rate = len(images) / (4 * own.square().sum(dim=0).amax())
        momenta = [torch.zeros_like(weight), torch.zeros_like(bias)]
        slope, best = torch.zeros_like(alpha), -1.0
        by_accuracy = self.config.choose_by == "accuracy"
        for iteration in range(1, self.config.iterations + 1):
            state = [value.requires_grad_() for value in (weight, bias, alpha)]
            loss = functional.cross_entropy(blended(images, self._classes, *state), labels)
            by_weight, by_bias, by_alpha = torch.autograd.grad(loss, state)
            momenta = [MOMENTUM * m + g for m, g in zip(momenta, (by_weight, by_bias), strict=True)]
            weight, bias = (v.detach() - weight_rate * m for v, m in zip((weight, bias), momenta, strict=True))
            slope = by_alpha if self.config.alpha_gradient == "fresh" else slope + by_alpha
            alpha = alpha.detach() - (alpha_rate * slope if iteration % ALPHA_EVERY == 0 else 0)
            scores = partial(blended, texts=self._classes, weight=weight, bias=bias, alpha=alpha)
            found = data.validation_hits(scores) if by_accuracy else data.validation_recall(scores)
            if found >= best:
                best = found
                self.weight, self.bias, self.alpha = weight.clone(), bias.clone(), alpha.clone()

    def _weight_rate(self, images: Tensor) -> float:
        """Step size of weights and biases."""
        if self.config.weight_rate == "log_shots":
            return float(self.config.rate_factor * math.log(len(images) / len(self.task.classes) + 1))
        return float(4 * len(images) / torch.linalg.eigvalsh(images.T @ images)[-1])

    def _start(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """First weights (classes, width) and blends (classes,)."""
        members = functional.one_hot(labels, len(self.task.classes)).T.float()
        sums = (members @ images).half().float()
        weight = sums / members.sum(dim=1, keepdim=True) if self.config.weight_start == "mean" else sums
        own = ((images @ self._classes.T) * members.T).sum(dim=0) / members.sum(dim=1)
        return weight, (ALPHA_START * own.mean()).expand(len(weight)).clone()


def blended(images: Tensor, texts: Tensor, weight: Tensor, bias: Tensor, alpha: Tensor) -> Tensor:
    """W v + b + alpha (v . t): (images, classes)."""
    return images @ weight.T + bias + alpha * (images @ texts.T)
