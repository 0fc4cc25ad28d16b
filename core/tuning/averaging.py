"""Averages of what is learned over the epochs of a training, with Gaussian weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.tuning.contract import Method, Task, TrainingData


def gaussian_weights(epochs: int, mean: float, std: float) -> Tensor:
    """Weights (epochs,), float64, that sum to 1: a Gaussian of the epoch's number, from 1, around `mean`.

    Source: PromptSRC, Gaussian weighted prompt aggregation.
    """
    numbers = torch.arange(1, epochs + 1, dtype=torch.float64)
    # far from every epoch all weights would round to zero: a soft-max keeps the nearest ones
    return (-(((numbers - mean) / std) ** 2) / 2).softmax(dim=0)


class Averaged(Method):
    """Base of methods that end with a weighted sum of what each epoch left, of learned tensors alone."""

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self._sums: dict[str, Tensor] = {}

    def epoch_weights(self) -> Tensor | None:
        """The weight (epochs,) of each epoch; None where nothing is averaged."""
        raise NotImplementedError(f"{type(self).__name__} has no weights of its own")

    def averaged(self) -> dict[str, nn.Parameter]:
        """What is averaged, by name."""
        return dict(self.named_parameters())

    def prepare(self, data: TrainingData) -> None:
        super().prepare(data)
        self._sums = {}

    def after_epoch(self, epoch: int) -> None:
        super().after_epoch(epoch)
        weights = self.epoch_weights()
        if weights is None:
            return
        for name, value in self.averaged().items():
            share = float(weights[epoch]) * value.detach()
            self._sums[name] = self._sums[name] + share if name in self._sums else share

    @torch.no_grad()
    def after_training(self) -> None:
        super().after_training()
        if self.epoch_weights() is not None:
            for name, value in self.averaged().items():
                value.copy_(self._sums[name])

    def training_state(self) -> dict[str, Tensor]:
        return dict(self._sums)

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self._sums = {name: value.to(self.backbone.device) for name, value in state.items()}
