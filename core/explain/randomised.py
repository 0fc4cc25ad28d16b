"""Does a map follow the weights? It is drawn again while more and more of the image tower is random.

Source: cascading randomisation, Sanity Checks for Saliency Maps (Adebayo et al., NeurIPS 2018): from the last block
down. A map that stays the same shows the picture, not what the model has learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from core.backbones.weight_places import weights_of
from core.explain.captured import Captured, capture
from core.explain.classifier import ExplainedClassifier
from core.explain.hiding import Step

SEEDS = 3
ALIKE = 0.5
"""Mean |rank correlation| from which a map counts as unmoved by random weights."""
MapOf = Callable[[Captured], np.ndarray]
"""Draws one map (rows, columns) from an open pass."""


def cascade(captured: Captured, maps: Sequence[MapOf], step: Step, seed: int = 0) -> list[list[dict[str, Any]]]:
    """For each kind of map one row a depth {blocks, of, correlation, low, high, seeds}, from the last block down.

    correlation: mean over `SEEDS` seeds of the absolute Spearman correlation between the map and the one with the last
    `blocks` blocks redrawn; low and high are its range over seeds. All None where a map is flat.
    """
    blocks = captured.backbone.image_layers
    own = [draw(captured) for draw in maps]
    depths = depths_of(blocks)
    found: list[list[list[float | None]]] = [[[] for _ in depths] for _ in maps]
    for turn in range(SEEDS):
        drawn = redrawn_blocks(captured.classifier, seed + turn)
        for place, depth in enumerate(depths):
            step()
            other = capture(with_blocks(captured.classifier, drawn, depth), captured.pixels, captured.graph)
            for index, draw in enumerate(maps):
                found[index][place].append(likeness(own[index], draw(other)))
    return [[_row(n, blocks, values) for n, values in zip(depths, rows, strict=True)] for rows in found]


def depths_of(blocks: int) -> list[int]:
    """How many blocks are random, counted from the last: one, a quarter, a half and all of them."""
    return sorted({1, max(1, round(blocks / 4)), max(1, round(blocks / 2)), blocks})


def likeness(first: np.ndarray, second: np.ndarray) -> float | None:
    """Absolute Spearman correlation of two maps over the cells that both have; None if one is flat."""
    from scipy.stats import spearmanr

    there = np.isfinite(first) & np.isfinite(second)
    if not there.any() or np.ptp(first[there]) == 0 or np.ptp(second[there]) == 0:
        return None
    return abs(float(spearmanr(first[there], second[there]).statistic))


def redrawn_blocks(classifier: ExplainedClassifier, seed: int) -> list[nn.Module]:
    """Copies of all image blocks with random numbers of each tensor's own mean and deviation for weights."""
    generator = torch.Generator().manual_seed(seed)
    blocks = classifier.backbone.image_blocks()
    # one row of numbers a seed, begun at another place for each tensor: drawing millions anew would take a second
    numbers = torch.randn(max(w.numel() for block in blocks for w in weights_of(block)) + 1, generator=generator)
    return [_redrawn(block, numbers, generator) for block in blocks]


def with_blocks(classifier: ExplainedClassifier, drawn: Sequence[nn.Module], depth: int) -> ExplainedClassifier:
    """The same model with its last `depth` image blocks exchanged for these; the shared tower stays as it is."""
    backbone = classifier.backbone
    own = list(backbone.image_blocks())
    mixed = [*own[: len(own) - depth], *drawn[len(own) - depth :]]
    other = copy.copy(classifier)
    other.method = classifier.method.over(backbone.with_image_blocks(mixed))  # type: ignore[misc]
    return other


def _redrawn(block: nn.Module, numbers: torch.Tensor, generator: torch.Generator) -> nn.Module:
    other = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in weights_of(other):
            first = int(torch.randint(len(numbers), (1,), generator=generator))
            drawn = numbers.roll(-first)[: parameter.numel()].reshape(parameter.shape).to(parameter)
            spread = parameter.std() if parameter.numel() > 1 else parameter.new_zeros(())
            parameter.copy_(parameter.mean() + spread * drawn)
    return other


def _row(depth: int, blocks: int, values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    return {
        "blocks": depth,
        "of": blocks,
        "correlation": float(np.mean(known)) if whole else None,
        "low": min(known) if whole else None,
        "high": max(known) if whole else None,
        "seeds": len(values),
    }
