"""Averages of what is learned over the epochs of a training, with Gaussian weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def gaussian_weights(epochs: int, mean: float, std: float) -> Tensor:
    """Weights (epochs,), float64, that sum to 1: a Gaussian of the epoch's number, from 1, around `mean`.

    Source: PromptSRC, Gaussian weighted prompt aggregation.
    """
    numbers = torch.arange(1, epochs + 1, dtype=torch.float64)
    # far from every epoch all weights would round to zero: a soft-max keeps the nearest ones
    return (-(((numbers - mean) / std) ** 2) / 2).softmax(dim=0)


class EpochAverage:
    """The weighted sum of named tensors, added epoch by epoch; only what is learned goes in, frozen weights never."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, weight: Tensor | float, values: Mapping[str, Tensor]) -> None:
        """Add an epoch's values, times its weight."""
        for name, value in values.items():
            share = float(weight) * value.detach()
            self.sums[name] = self.sums[name] + share if name in self.sums else share

    @torch.no_grad()
    def write_into(self, values: Mapping[str, Tensor]) -> None:
        """Put the sums in the place of these values."""
        for name, value in values.items():
            value.copy_(self.sums[name])

    def load(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take back sums that were kept."""
        self.sums = {name: value.to(device) for name, value in state.items()}
