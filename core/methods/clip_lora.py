"""CLIP-LoRA: low-rank changes of the attention of both towers.

Paper: Zanella, Ben Ayed, Low-Rank Few-Shot Adaptation of Vision-Language Models, CVPR Workshops 2024.
Official code: MaxZanella/CLIP-LoRA, commit 358f0d7 (no licence file); written from a specification.

Differences. The code is for CLIP alone; on other towers the same matrices are changed: queries, keys and values of each
block, each with two matrices of its own, also where a tower keeps the three as one. The change is scaled by alpha over
the root of the rank, as in the code; over the rank ("scaling") is the more common way. Positions count in twelfths of a
tower. Steps are 500 for each image a class has, as published, and with classes of unequal size for their mean. Images
are seen in kept views, used in turn. After training the change is added to the matrices of the method's own copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from core.backbones.attention import drop
from core.backbones.weight_places import Matrix, place_weights
from core.tuning.adapted_towers import AdaptedTowers, SmoothlyAdaptedConfig
from core.tuning.contract import Task, steps_per_epoch
from core.tuning.option import option

DROPOUT = 0.25
POSITIONS = {
    "all": (0, 12),
    "up": (8, 12),
    "half-up": (6, 12),
    "mid": (4, 8),
    "bottom": (0, 4),
    "half-bottom": (0, 6),
    "top3": (9, 12),
}
"""First block and the one behind the last, of twelve."""


@dataclass(frozen=True)
class Config(SmoothlyAdaptedConfig):
    """Options of CLIP-LoRA."""

    rank: int = option(2, "Rank of each change.", bounds=(1, 256))
    alpha: float = option(1.0, "Weight of the change before it is scaled by the rank.", bounds=(0.0, 1000.0))
    scaling: str = option(
        "sqrt",
        "The weight is divided by the root of the rank, or by the rank.",
        choices=("sqrt", "rank"),
        advanced=True,
    )
    position: str = option("all", "Blocks that are changed, in twelfths of a tower.", choices=tuple(POSITIONS))
    output_too: bool = option(False, "Change the output matrix of attention as well.", advanced=True)
    low_rank_dropout: bool = option(
        True, "A quarter of the input of each change is dropped while training.", advanced=True
    )
    updates_per_shot: int = option(
        500, "Update steps for each image a class has.", unit="steps", bounds=(1, 100_000), advanced=True
    )
    epochs: int = option(
        0, "Passes over the training images; 0: as many as the steps make.", unit="epochs", bounds=(0, 5000)
    )
    learning_rate: float = option(2e-4, "Step size at the start.", bounds=(0.0, 100.0))
    weight_decay: float = option(1e-2, "Weight decay of what is learned.", bounds=(0.0, 10.0), advanced=True)

    def settled(self, images: int, classes: int) -> Self:
        if self.updates is not None or self.epochs:
            return super().settled(images, classes)
        steps = self.updates_per_shot * max(1, round(images / classes))
        return replace(self, epochs=math.ceil(steps / steps_per_epoch(images, self.batch_size, self.drop_last)))

    @property
    def factor(self) -> float:
        """What the product of both matrices is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.scaling == "sqrt" else self.rank)


class CLIPLoRA(AdaptedTowers):
    """W + factor B A for queries, keys and values; A begins at random, B at zero: at first nothing is changed."""

    title = "CLIP-LoRA"
    summary = "Changes the attention of both towers a little, by matrices of low rank. Slow: images are read each step."
    paper = "Zanella, Ben Ayed. Low-Rank Few-Shot Adaptation of Vision-Language Models. CVPR Workshops 2024."
    code = "MaxZanella/CLIP-LoRA, commit 358f0d7"
    licence = "none stated"
    trains = "low-rank changes of attention matrices in both towers"

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        parts = ("q", "k", "v", "o") if config.output_too else ("q", "k", "v")
        self._adapted = [
            m for m in self.changed_matrices if m.part in parts and self._begin(m) <= m.layer < self._end(m)
        ]
        drawn = task.generator()
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for matrix in self._adapted:
            rows, columns = matrix.weight.shape
            start = (2 * torch.rand(config.rank, columns, generator=drawn) - 1) / math.sqrt(columns)
            self.down[matrix.name] = nn.Parameter(start.to(task.backbone.device))
            self.up[matrix.name] = nn.Parameter(torch.zeros(rows, config.rank, device=task.backbone.device))

    def _begin(self, matrix: Matrix) -> int:
        return POSITIONS[self.config.position][0] * self._layers(matrix) // 12

    def _end(self, matrix: Matrix) -> int:
        return max(self._begin(matrix) + 1, POSITIONS[self.config.position][1] * self._layers(matrix) // 12)

    def _layers(self, matrix: Matrix) -> int:
        return self._own.image_layers if matrix.tower == "image" else self._own.text_layers

    def steady_layers(self) -> int:
        return min((m.layer for m in self._adapted if m.tower == "image"), default=self._own.image_layers)

    def change(self, name: str) -> Tensor:
        """What is added to a matrix: (out, in)."""
        return self.config.factor * self.up[name] @ self.down[name]

    def place(self, tower: str | None, learning: bool) -> None:
        names = [matrix.name for matrix in self._adapted]
        if learning:
            # beside the frozen product, since dropout is of the change alone
            place_weights(self._matrices, {})
            self._own.add_to_products({name: partial(self._added, name) for name in names})
        else:
            self._own.add_to_products({})
            place_weights(self._matrices, {m.name: m.weight + self.change(m.name) for m in self._adapted})

    def _added(self, name: str, x: Tensor) -> Tensor:
        x = drop(x, DROPOUT, self.training and self.config.low_rank_dropout)
        return self.config.factor * (x @ self.down[name].T) @ self.up[name].T
