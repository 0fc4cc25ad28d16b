"""RISE: how the class's probability goes with each place, over thousands of randomly masked pictures.

Paper: Petsiuk, Das, Saenko, RISE, BMVC 2018. Code read: eclique/RISE, commit d91ea00 (MIT).

Differences. `form` "centred" (default) correlates masks with the probability's deviation from its mean: signed, and far
less noisy than the published weighted mean, "official". Masks are averaged on the patches' areas. With the default grid
of 7 a mask's cell is 2 x 2 patches of a grid of 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.explain.captured import IMAGES_AT_ONCE, Captured, on_grid
from core.explain.explainer import Explainer, MapSet, Progress, no_progress
from core.tuning.option import Options, option

ENOUGH = 0.8
"""Rank correlation of the two halves' maps below which masks were too few."""


@dataclass(frozen=True)
class Config(Options):
    """Options of RISE."""

    masks: int = option(2000, "Randomly masked pictures.", unit="passes", bounds=(2, 100_000))
    grid: int = option(7, "Cells of a mask on each side.", unit="cells", bounds=(1, 64))
    kept: float = option(0.5, "Part of the cells that stay visible.", bounds=(0.01, 0.99))
    form: str = option("centred", "Signed correlation, or the published mean.", choices=("centred", "official"))
    seed: int = option(0, "Seed of the masks.", bounds=(0, 2**31 - 1), advanced=True)


class Rise(Explainer):
    """Needs nothing but answers, so it works for any model; the slow control of the other maps."""

    title = "RISE"
    summary = "How the class's probability goes with each place being visible. Slow: thousands of passes."
    source = "Petsiuk, Das, Saenko. RISE. BMVC 2018; eclique/RISE (MIT)."
    scalar = "the class's calibrated probability"
    unit = "probability"
    cost = "many passes"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        cells, answers = self._passes(captured, progress)
        answers, there = answers[:, list(class_indices)], cells[:, list(captured.layout.patch_index)]
        saliency = weigh(there, answers, self.config.kept, self.config.form)
        half = len(cells) // 2
        halves = [
            weigh(there[p], answers[p], self.config.kept, self.config.form) for p in (slice(half), slice(half, None))
        ]
        agreement = [_rank_correlation(a, b) for a, b in zip(*halves, strict=True)]
        enough = [value is not None and value >= ENOUGH for value in agreement]
        facts = {"passes": len(cells), "split_half_correlation": agreement, "enough_masks": enough}
        return MapSet(on_grid(saliency, captured.layout), facts)

    def _passes(self, captured: Captured, progress: Progress) -> tuple[Tensor, Tensor]:
        """Masks on the patch grid (masks, cells), and probabilities (masks, classes); float64."""
        generator, config = torch.Generator().manual_seed(self.config.seed), self.config
        size, cells, answers = captured.pixels.shape[-1], [], []
        for start in range(0, config.masks, IMAGES_AT_ONCE):
            progress(start, config.masks)
            count = min(IMAGES_AT_ONCE, config.masks - start)
            masks = random_masks(count, config.grid, config.kept, size, generator)
            cells.append(functional.adaptive_avg_pool2d(masks, captured.layout.grid).flatten(1).double())
            pictures = captured.pixels * masks.to(captured.pixels.device)
            answers.append(captured.probabilities_of(pictures).double())
        return torch.cat(cells), torch.cat(answers)


def random_masks(count: int, grid: int, kept: float, size: int, generator: torch.Generator) -> Tensor:
    """(count, 1, size, size) in [0, 1]: grids of zeros and ones, enlarged smoothly and shifted by part of a cell."""
    cell = -(-size // grid)
    coarse = (torch.rand(count, 1, grid, grid, generator=generator) < kept).float()
    large = functional.interpolate(coarse, size=((grid + 1) * cell,) * 2, mode="bilinear", align_corners=False)
    shifts = torch.randint(0, cell, (count, 2), generator=generator).tolist()
    return torch.stack([m[:, y : y + size, x : x + size] for m, (y, x) in zip(large, shifts, strict=True)])


def weigh(masks: Tensor, answers: Tensor, kept: float, form: str) -> Tensor:
    """Saliency (classes, cells) from masks (masks, cells) and answers (masks, classes).

    "official": sum of y M / (N p). "centred": sum of (M - p)(y - mean y) / (N p (1 - p)).
    """
    if form == "official":
        return answers.T @ masks / (len(masks) * kept)
    return (answers - answers.mean(dim=0)).T @ (masks - kept) / (len(masks) * kept * (1 - kept))


def _rank_correlation(first: Tensor, second: Tensor) -> float | None:
    from scipy.stats import spearmanr

    if min(np.ptp(first.numpy()), np.ptp(second.numpy())) == 0:
        return None
    return float(spearmanr(first, second).statistic)
