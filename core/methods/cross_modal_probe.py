"""Cross-modal linear probe: each class sentence is one more labelled training sample.

Paper: Lin, Yu, Kuang, Pathak, Ramanan, Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning with Multimodal
Models, CVPR 2023.
Official code: linzhiqiu/cross_modal_adaptation, commit ac9077e (MIT).

Differences. The logit scale is the model's own, not 100. The published code refuses tasks of no more classes than half
a batch, since each half is drawn without repeats; here sentences may repeat in a half. Twelve settings are compared on
validation images, if there are any; without them one setting is trained to its last step. The settings of one batch
size see the same batches. Weights start at the sentences, as its README says; its script starts at random ("start").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Choice, MethodConfig, Task
from core.tuning.option import option

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

WARMUP, WARMUP_RATE = 50, 1e-5
CHECK_EVERY = 100
BETAS, EPSILON = (0.9, 0.999), 1e-8
GRID = tuple(product((1e-3, 1e-4), (0.0, 0.01, 1e-4), (8, 32)))
"""The published settings: learning rate, weight decay, batch size."""

Setting = tuple[float, float, int]


@dataclass(frozen=True)
class Config(MethodConfig):
    """Options of the cross-modal probe."""

    texts: str = option(
        "template",
        "The sentences of a class: the template's, or all its descriptions.",
        choices=("template", "descriptions"),
    )
    start: str = option("zeroshot", "What the weights start from.", choices=("zeroshot", "random"), advanced=True)
    iterations: int = option(12_800, "Update steps.", unit="steps", bounds=(1, 1_000_000))
    search: bool = option(True, "Choose rate, decay, batch size and step on validation images, where there are any.")
    learning_rate: float = option(1e-3, "Largest step size, where none is searched.", bounds=(0.0, 100.0))
    weight_decay: float = option(0.01, "Weight decay, where none is searched.", bounds=(0.0, 10.0), advanced=True)
    batch_size: int = option(
        8, "Samples per step, half of them sentences, where none is searched.", unit="samples", bounds=(2, 4096)
    )
    text_mix: float = option(
        0.0, "Share of the sentences' own weights that is mixed in at the end (WiSE-FT).", bounds=(0.0, 1.0)
    )


class CrossModalProbe(PlainTexts):
    """Scores are scale x (w . f), trained on batches that are half images and half sentences."""

    title = "Cross-modal probe"
    summary = "A linear probe that also trains on the class sentences, as if they were images. Fast."
    paper = "Lin et al. Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning. CVPR 2023."
    code = "linzhiqiu/cross_modal_adaptation, commit ac9077e"
    licence = "MIT"
    trains = "a linear classifier on image features"
    trains_by_steps = False
    variants: ClassVar = {"reference": {"start": "random"}}

    weight: Tensor
    _anchors: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        anchors = self._classes if config.texts == "template" else task.description_anchors()
        self.register_buffer("_anchors", anchors, persistent=False)
        start = anchors.clone()
        if config.start == "random":
            start = (torch.rand(start.shape, generator=task.generator()) * 2 - 1).to(start) / start.shape[1] ** 0.5
        self.register_buffer("weight", start)

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [Choice("rate, decay, batch size and the step that is kept")] if config.search else []

    def logits(self, features: Tensor) -> Tensor:
        return self.backbone.logit_scale * features @ self.weight.T

    def fit_directly(self, data: TrainingData) -> None:
        config = self.config
        searched = config.search and data.has_validation
        settings = GRID if searched else ((config.learning_rate, config.weight_decay, config.batch_size),)
        found: dict[Setting, tuple[int, Tensor]] = {}
        for size in sorted({setting[2] for setting in settings}):
            alike = [setting for setting in settings if setting[2] == size]
            found |= dict(zip(alike, self._train(data, alike, searched), strict=True))
        best = max(settings, key=lambda setting: found[setting][0])
        self.weight = (1 - config.text_mix) * found[best][1] + config.text_mix * self._anchors

    @torch.no_grad()
    def _train(self, data: TrainingData, settings: Sequence[Setting], searched: bool) -> list[tuple[int, Tensor]]:
        """Hits and weights (classes, width) of settings of one batch size: of the best step, or of the last one."""
        images = torch.cat([data.train_features(), data.train_features("center+mirror")])
        sides = [(images, data.labels.repeat(2)), self._sentences()]
        half, total, scale = settings[0][2] // 2, self.config.iterations, self.backbone.logit_scale
        orders = [sample_order(len(rows), half, total, self.task.generator()).to(images.device) for rows, _ in sides]
        rates, decays = (torch.tensor(each).to(images)[:, None, None] for each in list(zip(*settings, strict=True))[:2])
        weight = self.weight.expand(len(settings), -1, -1).clone()
        moments = (torch.zeros_like(weight), torch.zeros_like(weight))
        best = [(-1, each) for each in weight]
        for iteration in range(total):
            slope = torch.zeros_like(weight)
            for (rows, labels), order in zip(sides, orders, strict=True):
                seen = order[iteration]
                slope += cross_entropy_slope(weight, rows[seen], labels[seen], scale) / len(sides)
            adamw_step(weight, moments, slope, rate_at(iteration, rates, total), decays, iteration + 1)
            if searched and iteration % CHECK_EVERY == 0:
                answers = (scale * data.validation_features() @ weight.mT).argmax(dim=-1)
                hits = (answers == data.validation_labels).sum(dim=-1).tolist()
                best = [(n, w.clone()) if n > old[0] else old for n, w, old in zip(hits, weight, best, strict=True)]
        return best if searched else [(0, each) for each in weight]

    def _sentences(self) -> tuple[Tensor, Tensor]:
        """Features (sentences, width) and labels (sentences,) of the sentences that are trained on."""
        found = list(self._classes[:, None])
        if self.config.texts == "descriptions":
            found = self.task.description_features()
        # by name, so that what is drawn does not depend on the order of classes
        order = sorted(range(len(found)), key=lambda label: self.task.classes[label])
        labels = torch.tensor([label for label in order for _ in found[label]], device=self._classes.device)
        return torch.cat([found[label] for label in order]), labels


def sample_order(samples: int, half: int, steps: int, generator: torch.Generator) -> Tensor:
    """Which samples each step sees, int64 (steps, half): shuffled anew whenever all are used up, the rest left out.

    Fewer samples than half a batch are drawn with repeats.
    """
    if samples < half:
        return torch.randint(samples, (steps, half), generator=generator)
    whole = samples // half
    rounds = math.ceil(steps / whole)
    shuffled = [torch.randperm(samples, generator=generator)[: whole * half] for _ in range(rounds)]
    return torch.cat(shuffled).view(-1, half)[:steps]


def cross_entropy_slope(weight: Tensor, rows: Tensor, labels: Tensor, scale: Tensor | float) -> Tensor:
    """Gradient (settings, classes, width) of the mean cross-entropy of scale x rows . weight by these weights."""
    wrong = (scale * rows @ weight.mT).softmax(dim=-1)
    wrong[:, torch.arange(len(rows)), labels] -= 1
    return scale / len(rows) * wrong.mT @ rows


def adamw_step(
    weight: Tensor, moments: tuple[Tensor, Tensor], slope: Tensor, rate: Tensor, decay: Tensor, step: int
) -> None:
    """One update of AdamW in place, with a rate and a decay for each setting (settings, 1, 1). step: from 1."""
    first, second = moments
    first.lerp_(slope, 1 - BETAS[0])
    second.lerp_(slope.square(), 1 - BETAS[1])
    spread = (second / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
    weight.mul_(1 - rate * decay).sub_(rate * (first / (1 - BETAS[0] ** step)) / spread)


def rate_at(iteration: int, rates: Tensor, total: int) -> Tensor:
    """Rates of one step, from 0: 1e-5, then rising for 50 steps, then a cosine whose period is all steps."""
    if iteration == 0:
        return torch.full_like(rates, WARMUP_RATE)
    if iteration < WARMUP:
        return rates * iteration / WARMUP
    return rates / 2 * (1 + math.cos(math.pi * (iteration - WARMUP) / total))
