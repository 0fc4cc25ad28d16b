"""What patches look like inside the tower, measured on images that are never tested."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.backbones.changeable_block import changeable
from core.backbones.contract import Backbone, LayerTokens
from core.backbones.image_tower import ImageTower
from core.explain.changed_pass import RegisterShift, change_of_units, tower_of

OUTLIER_PATCHES = 0.002
OUTLIER_IMAGES = 0.2
OUTLIER_DEVIATIONS = 8.0
OUTLIER_MEDIANS = 2.5
REGISTER_UNITS = 10
LEFT_OUTLIERS = 0.2
NORMAL_DEVIATION = 1.4826
"""A normal distribution's deviation over its median absolute deviation."""


@dataclass(frozen=True)
class PatchNorms:
    """norms: (blocks, images, patches) of what each block gives."""

    norms: np.ndarray

    def thresholds(self) -> np.ndarray:
        """From which norm on a patch is an outlier, by block: max(median + 8 x 1.4826 MAD, 2.5 x median)."""
        flat = self.norms.reshape(len(self.norms), -1)
        median = np.median(flat, axis=1)
        spread = np.median(np.abs(flat - median[:, None]), axis=1)
        return np.maximum(median + OUTLIER_DEVIATIONS * NORMAL_DEVIATION * spread, OUTLIER_MEDIANS * median)

    def rows(self) -> list[dict[str, Any]]:
        """One row a block: median, largest, threshold, share of patches and of images with outliers."""
        flat, limits = self.norms.reshape(len(self.norms), -1), self.thresholds()
        over = self.norms > limits[:, None, None]
        return [
            {
                "block": block,
                "median": float(np.median(flat[block])),
                "largest": float(flat[block].max()),
                "threshold": float(limits[block]),
                "outlier_patches": float(over[block].mean()),
                "outlier_images": float((over[block].mean(axis=1) >= OUTLIER_PATCHES).mean()),
            }
            for block in range(len(flat))
        ]


@dataclass(frozen=True)
class Calibration:
    """lengths: median norm of a patch at the input of each block. means: (blocks, width), the mean patch there.

    norms: of what the blocks give. n: images. shift: which units to move onto a register, or None, and `why` not.
    """

    lengths: tuple[float, ...]
    means: Tensor
    norms: PatchNorms
    n: int
    shift: RegisterShift | None = None
    why: str = ""


def calibrate(backbone: Backbone, batches: Iterable[Tensor], step: Callable[[], None] = lambda: None) -> Calibration:
    """Measures patches on batches of model input (images, 3, size, size); at least one image."""
    tower, kept = tower_of(backbone), list(batches)
    inputs: list[list[Tensor]] = []
    outputs: list[Tensor] = []
    sums = torch.zeros(len(tower.blocks), tower.width, dtype=torch.float64)
    for pixels in kept:
        step()
        seen = _inputs(tower, pixels.to(backbone.device))
        sums += torch.stack([each.double().sum(dim=(0, 1)).cpu() for each in seen[:-1]])
        inputs.append([each.norm(dim=-1).cpu() for each in seen[:-1]])
        outputs.append(torch.stack([each.norm(dim=-1).cpu() for each in seen[1:]]))
    n = sum(len(pixels) for pixels in kept)
    lengths = tuple(float(torch.cat([each[b] for each in inputs]).median()) for b in range(len(tower.blocks)))
    means = (sums / (n * tower.grid[0] * tower.grid[1])).float()
    norms = PatchNorms(torch.cat(outputs, dim=1).double().numpy())
    shift, why = _find_shift(tower, kept, norms, step)
    return Calibration(lengths, means, norms, n, shift, why)


def _inputs(tower: ImageTower, pixels: Tensor, shift: RegisterShift | None = None) -> list[Tensor]:
    """Patches (images, patches, width) at the input of each block, where vectors would be put, and the last output."""
    parts = [changeable(block) for block in tower.blocks]
    patches = slice(tower.prefix, tower.length)
    kept: list[Tensor] = []

    def step(layer: int, hidden: Tensor) -> Tensor:
        hidden = parts[layer].run(hidden, None, change_of_units(shift, layer, tower.prefix) if shift else None)
        kept.append(hidden[:, patches])
        return hidden

    with torch.inference_mode():
        tower.run_stepwise(pixels, register(tower) if shift else None, None, step)
        return [tower.embed(pixels)[:, patches], *kept]


def register(tower: ImageTower) -> LayerTokens:
    """One token of zeros at the end, put in once before the first block and left to evolve."""
    return LayerTokens((torch.zeros(1, tower.width),), "insert", -1)


def _find_shift(
    tower: ImageTower, batches: list[Tensor], norms: PatchNorms, step: Callable[[], None]
) -> tuple[RegisterShift | None, str]:
    """The units behind outlier patches, or why there is nothing to shift."""
    rows = norms.rows()
    late = max(rows[-2:], key=lambda row: row["outlier_patches"])
    if late["outlier_patches"] < OUTLIER_PATCHES or late["outlier_images"] < OUTLIER_IMAGES:
        return None, (
            f"does not exist on this backbone: no outlier patches, nothing to shift. After block {late['block']} "
            f"{late['outlier_patches']:.2%} of patches, on {late['outlier_images']:.0%} of {norms.norms.shape[1]} "
            f"images, have a norm above {late['threshold']:.3g} (median {late['median']:.3g}, largest "
            f"{late['largest']:.3g}); at least {OUTLIER_PATCHES:.1%} on {OUTLIER_IMAGES:.0%} of images are needed"
        )
    over = norms.norms[late["block"]] > late["threshold"]
    onset = next(row["block"] for row in rows if row["outlier_patches"] >= OUTLIER_PATCHES)
    shift = _strongest_units(tower, batches, over, onset, step)
    left = _outliers_left(tower, batches, shift, late["block"], late["threshold"], step) / float(over.mean())
    if left > LEFT_OUTLIERS:
        return None, (
            f"does not work on this backbone: with {REGISTER_UNITS} units of blocks 0 to {onset} shifted, {left:.0%} "
            f"of the outlier patches are left; at most {LEFT_OUTLIERS:.0%} may be"
        )
    return shift, ""


def _strongest_units(
    tower: ImageTower, batches: list[Tensor], over: np.ndarray, last_block: int, step: Callable[[], None]
) -> RegisterShift:
    """The hidden units that are most active where outliers will be: mean over images of the mean over their places."""
    parts = [changeable(block) for block in tower.blocks]
    scores: dict[int, Tensor] = {}
    place, images = 0, int(over.any(axis=1).sum())
    for pixels in batches:
        step()
        where = torch.from_numpy(over[place : place + len(pixels)])
        place += len(pixels)
        weight = where / where.sum(dim=1, keepdim=True).clamp(min=1)

        def run(layer: int, hidden: Tensor, weight: Tensor = weight) -> Tensor:
            def look(active: Tensor) -> Tensor:
                patches = active[:, tower.prefix :].abs().double()
                found = torch.einsum("ip,ipu->u", weight.to(patches), patches).cpu()
                scores[layer] = scores.get(layer, 0) + found / images
                return active

            return parts[layer].run(hidden, None, look if layer <= last_block else None)

        with torch.inference_mode():
            tower.run_stepwise(pixels.to(next(tower.blocks[0].parameters()).device), None, None, run)
    table = torch.stack([scores[layer] for layer in range(last_block + 1)])
    best = table.flatten().topk(min(REGISTER_UNITS, table.numel())).indices.tolist()
    units: dict[int, tuple[int, ...]] = {}
    for index in best:
        block, unit = divmod(index, table.shape[1])
        units[block] = (*units.get(block, ()), unit)
    return RegisterShift(units)


def _outliers_left(
    tower: ImageTower, batches: list[Tensor], shift: RegisterShift, block: int, limit: float, step: Callable[[], None]
) -> float:
    """Share of patches that are still outliers with the shift."""
    found = []
    for pixels in batches:
        step()
        device = next(tower.blocks[0].parameters()).device
        found.append(_inputs(tower, pixels.to(device), shift)[block + 1].norm(dim=-1).cpu())
    return float((torch.cat(found) > limit).float().mean())
