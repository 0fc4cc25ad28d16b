"""ProGrad: CoOp whose steps never work against what the plain sentences already know.

Paper: Zhu, Niu, Han, Wu, Zhang, Prompt-aligned Gradient for Prompt Tuning, ICCV 2023.
Official code: BeierZhu/Prompt-align; the settings for BiomedCLIP are those of HealthX-Lab/BiomedCoOp, commit 7ceb5a8
(MIT).

Differences. In full precision the published biomedical port takes the teacher's scores from the student itself: its
second gradient is rounding noise and the method is CoOp (variant "reference"; the noise is not followed here). By
default the teacher is the frozen zero-shot model, as in the paper. The temperature differs by data set there (0.25 to
4); the default is 1. The start is the template's words, and the teacher's sentence is the template unless one is given.
Student and teacher are scored in float32 whatever the precision. Batches of 128 make one update an epoch whatever the
number of shots, as published; "updates" trains as long as another method. The original recipe flips: variant "paper".
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.class_texts import HeldWords, learned_context
from core.tuning.contract import Batch, PromptConfig, Task
from core.tuning.option import option

NEGLIGIBLE = 1e-4
"""A guide shorter than this share of the gradient is taken for rounding noise."""


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of ProGrad."""

    random_start: bool = option(False, "Start from random vectors instead of the template's words.")
    teacher: str = option(
        "zero_shot",
        "Whose scores guide the steps: those of the plain sentences, or the student's own, which guides nowhere.",
        choices=("zero_shot", "student"),
        advanced=True,
    )
    teacher_template: str | None = option(
        None, "Sentence per class whose scores guide the steps; empty takes the template.", slots=(1, 1)
    )
    temperature: float = option(1.0, "Softening of both score distributions.", bounds=(0.01, 100.0))
    projection: float = option(
        1.0, "Share of the opposing part that is taken out of a step.", bounds=(0.0, 1.0), advanced=True
    )
    batch_size: int = option(128, "Images per step.", unit="images", bounds=(1, 4096))


class ProGrad(HeldWords):
    """The gradient of the cross-entropy, less its part that opposes the gradient of the teacher's divergence."""

    title = "ProGrad"
    summary = "Like CoOp, but a step that would unlearn what the model knew about the classes is corrected."
    paper = "Zhu, Niu, Han, Wu, Zhang. Prompt-aligned Gradient for Prompt Tuning. ICCV 2023."
    code = "BeierZhu/Prompt-align; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "context words of the text prompt"
    variants: ClassVar = {"paper": {"augmentation": "crop_flip"}, "reference": {"teacher": "student"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = learned_context(config, task)

    def step_passes(self) -> AbstractContextManager[None]:
        # the guide is a small difference of student and teacher: in bf16 it would be rounding
        return nullcontext()

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, soft = self.image_features(batch), self.config.temperature
        logits = self.logits(images)
        guide = logits.detach()
        if self.config.teacher == "zero_shot":
            guide = self.backbone.logit_scale * images @ self._teacher.T
        teacher = (guide / soft).softmax(dim=-1)
        student = (logits / soft).log_softmax(dim=-1)
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "teacher": -(teacher * student).sum(dim=-1).mean() * soft**2,
        }

    def backward(self, terms: dict[str, Tensor]) -> None:
        parameters = list(self.parameters())
        task = torch.autograd.grad(terms["cross_entropy"], parameters, retain_graph=True)
        known = torch.autograd.grad(terms["teacher"], parameters)
        for parameter, ours, guide in zip(parameters, task, known, strict=True):
            parameter.grad = project(ours, guide, self.config.projection)


def project(gradient: Tensor, guide: Tensor, share: float) -> Tensor:
    """`gradient` without its part against `guide`: g - share (g.h / |h|^2) h where g.h < 0, else g.

    A guide that is nothing but rounding (student and teacher still agree) is not followed: its direction is arbitrary.
    """
    along = (gradient * guide).sum()
    if along >= 0 or guide.norm() <= NEGLIGIBLE * gradient.norm():
        return gradient
    return gradient - share * along / guide.square().sum() * guide
