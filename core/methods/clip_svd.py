"""CLIP-SVD: only the singular values of the towers' matrices are learned.

Paper: Koleilat, Rivaz, Xiao, Singular Value Few-shot Adaptation of Vision-Language Models, 2025.
Official code: HealthX-Lab/CLIP-SVD, commit 022b1ed (MIT).

Differences. The published biomedical routine stops after its first epoch, since it reads a name it does not have; its
rates differ by data set by a factor of twenty, with no word on how they were found: the default is one for all. Its
learning rate counts its period in epochs and is stepped by update, so that it swings with many images and falls with
few: variant "reference", which leaves the text tower's dropout on as well. Decay draws the values to zero there; here
there is none, and "decay_to" may draw them to their start. Directions of near-equal values depend on the machine
that finds them, so a saved model holds a check of each matrix and refuses to answer where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from core.backbones.weight_places import place_weights
from core.errors import BackboneMismatch
from core.tuning.adapted_towers import AdaptedTowers, SmoothlyAdaptedConfig
from core.tuning.contract import Task
from core.tuning.option import option

TOLERANCE = 1e-3
SMALLEST = 1e-7
"""Share of the largest singular value below which a direction is taken as it comes."""


@dataclass(frozen=True)
class Config(SmoothlyAdaptedConfig):
    """Options of CLIP-SVD."""

    decay_to: str = option("zero", "What weight decay draws the values to.", choices=("zero", "start"), advanced=True)
    learning_rate: float = option(5e-3, "Step size at the start.", bounds=(0.0, 100.0))
    weight_decay: float = option(0.0, "Weight decay of the values.", bounds=(0.0, 10.0), advanced=True)
    warmup_epochs: int = option(0, "Epochs at the warm-up rate.", unit="epochs", bounds=(0, 1000), advanced=True)


class CLIPSVD(AdaptedTowers):
    """W = U diag(s) V' with s learned, for all six matrices of each block of both towers."""

    title = "CLIP-SVD"
    summary = "Stretches what each layer of both towers already does, and learns nothing else. Slow."
    paper = "Koleilat, Rivaz, Xiao. Singular Value Few-shot Adaptation of Vision-Language Models. 2025."
    code = "HealthX-Lab/CLIP-SVD, commit 022b1ed"
    licence = "MIT"
    trains = "singular values of matrices in both towers"
    variants: ClassVar = {"reference": {"schedule": "cosine_swing", "text_dropout": True}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.learned = nn.ParameterDict()
        self._parts: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        for matrix in self.changed_matrices:
            left, values, right = (part.to(matrix.weight) for part in decompose(matrix.weight))
            self._parts[matrix.name] = left, values, right
            start = torch.zeros_like(values) if config.decay_to == "start" else values.clone()
            self.learned[matrix.name] = nn.Parameter(start)

    def steady_layers(self) -> int:
        return 0 if self.config.changes("image") else self._own.image_layers

    def values(self, name: str) -> Tensor:
        """The singular values of a matrix as they are now: (rank,); may be negative."""
        known = self._parts[name][1]
        return known + self.learned[name] if self.config.decay_to == "start" else self.learned[name]

    def place(self, tower: str | None, learning: bool) -> None:
        wanted = [m for m in self._matrices if tower in (None, m.tower)]
        found = {m.name: rebuild(self._parts[m.name], self.values(m.name)) for m in wanted if m.name in self._parts}
        place_weights(wanted, found)

    def learned_state(self) -> dict[str, Tensor]:
        with torch.no_grad():
            checks = {f"check.{name}": self._check(name).cpu() for name in self._parts}
        return super().learned_state() | checks

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_learned_state({name: value for name, value in state.items() if not name.startswith("check.")})
        for name in self._parts:
            if (known := state.get(f"check.{name}")) is None:
                continue
            with torch.no_grad():
                found = self._check(name)
            if float((found - known.to(found)).norm()) > TOLERANCE * (1 + float(known.norm())):
                raise BackboneMismatch(
                    f"The singular directions of {name} that the model was trained with",
                    "this machine finds others, since near-equal values have no directions of their own",
                    "Train the model again here.",
                )

    def take_learned_from(self, other: Self) -> None:
        self.load_state_dict(other.state_dict())

    def _check(self, name: str) -> Tensor:
        """What the change of a matrix makes of one fixed random vector: (out,)."""
        left, start, right = self._parts[name]
        probe = torch.randn(right.shape[1], generator=torch.Generator().manual_seed(0)).to(right)
        return left @ ((self.values(name) - start) * (right @ probe))


def decompose(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U (out, rank), s (rank,) falling, V' (rank, in) with weight = U diag(s) V'; float64, on the processor.

    By the eigenvectors of the smaller Gram matrix, several times faster than a general decomposition and exact enough:
    what squaring loses of the smallest values is far below float32.
    """
    wide = weight.detach().cpu().double()
    if wide.shape[0] < wide.shape[1]:
        right, values, left = decompose(wide.T)
        return left.T, values, right.T
    squares, vectors = torch.linalg.eigh(wide.T @ wide)
    values, vectors = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)
    left = wide @ vectors / values.clamp_min(SMALLEST * float(values[0]))
    return left, values, vectors.T


def rebuild(parts: tuple[Tensor, Tensor, Tensor], values: Tensor) -> Tensor:
    """U diag(values) V': (out, in)."""
    return (parts[0] * values) @ parts[2]
