"""What the class token of one image looks at, head by head, for every number of zero vectors in one batched pass.

All numbers of vectors run side by side: with `insert` each sequence holds the most vectors and those beyond its own
number are hidden from every query, which gives what a shorter sequence gives; with `replace` each loses its own cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.backbones.changeable_block import changeable
from core.backbones.contract import LayerTokens
from core.backbones.image_tower import ImageTower
from core.errors import InvalidOption
from core.explain.batch import images_at_once
from core.explain.changed_pass import tower_of
from core.explain.classifier import ExplainedClassifier, check_reads_backbone
from core.explain.conditions import MOST_VECTORS

Mode = Literal["insert", "replace"]
MODES: tuple[Mode, ...] = ("insert", "replace")


@dataclass(frozen=True)
class HeadMaps:
    """Attention of the class token, float32. counts: numbers of zero vectors, along the first axis of all arrays.

    attention: (counts, layers, heads, rows, columns), shares of all attention, NaN where a vector stands on the cell.
    vectors, class_token: (counts, layers, heads). Patches, vectors, class token and registers sum to 1.
    """

    counts: tuple[int, ...]
    attention: np.ndarray
    vectors: np.ndarray
    class_token: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """For a file."""
        counts = np.asarray(self.counts, dtype=np.int32)
        return {
            "counts": counts,
            "attention": self.attention,
            "vectors": self.vectors,
            "class_token": self.class_token,
        }


def head_maps(
    model: ExplainedClassifier,
    pixels: Tensor,
    mode: Mode,
    counts: Sequence[int] = range(MOST_VECTORS + 1),
    step: Callable[[], None] = lambda: None,
) -> HeadMaps:
    """Maps of one image (1, 3, size, size) on the frozen tower. Numbers for which half the patches are too few go.

    step: called before each pass; what it raises ends the work. Raises InvalidOption for another mode.
    """
    if mode not in MODES:
        raise InvalidOption(f"One of {', '.join(MODES)}", f"found '{mode}'")
    check_reads_backbone(model)
    tower = tower_of(model.backbone)
    n_cells = tower.grid[0] * tower.grid[1]
    possible = [k for k in counts if k <= n_cells // 2]
    size, found = images_at_once(model), []
    for start in range(0, len(possible), size):
        step()
        found.append(_Side(tower, mode, possible[start : start + size]).run(pixels.to(model.backbone.device)))
    rows, vectors, own = (torch.cat(each).float().numpy() for each in zip(*found, strict=True))
    if mode == "replace":
        for at, k in enumerate(possible):
            rows[at, :, :, :k] = np.nan
    return HeadMaps(tuple(possible), rows.reshape(*rows.shape[:3], *tower.grid), vectors, own)


class _Side:
    """Some numbers of vectors that run side by side."""

    def __init__(self, tower: ImageTower, mode: Mode, counts: Sequence[int]) -> None:
        self.tower, self.mode, self.counts = tower, mode, counts
        self.most = max(counts)
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def run(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attention on cells (counts, layers, heads, cells), on vectors and on the class token, on the CPU."""
        tower, blocks = self.tower, [changeable(block) for block in self.tower.blocks]
        tokens = None
        if self.mode == "insert" and self.most:
            tokens = LayerTokens.zeros(self.most, tower.width, len(tower.blocks), "insert", -1)
        many = pixels.expand(len(self.counts), *pixels.shape[1:])
        with torch.inference_mode():
            tower.run_stepwise(many, tokens, self._before, lambda layer, hidden: blocks[layer].run(hidden, self._mix))
        rows, vectors, own = zip(*self._kept, strict=True)
        return torch.stack(rows, dim=1), torch.stack(vectors, dim=1), torch.stack(own, dim=1)

    def _before(self, layer: int, hidden: Tensor) -> Tensor:
        """Sets the first cells of each sequence to zero vectors, as they stand before this block."""
        if self.mode == "insert":
            return hidden
        zero = torch.zeros_like(hidden[:1, :1])
        zero = self.tower.norm_first(zero) if layer == 0 else zero
        hidden = hidden.clone()
        for at, k in enumerate(self.counts):
            hidden[at, self.tower.prefix : self.tower.prefix + k] = zero[0, 0]
        return hidden

    def _mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        length, prefix = self.tower.length, self.tower.prefix
        if self.mode == "insert":
            for at, k in enumerate(self.counts):
                scores[at, :, :, length + k :] = float("-inf")
        weights = scores.softmax(dim=-1)
        row = weights[:, :, 0]
        cells = row[..., prefix:length]
        if self.mode == "insert":
            vectors = row[..., length:].sum(dim=-1)
        else:
            taken = [cells[at, :, :k].sum(dim=-1) for at, k in enumerate(self.counts)]
            vectors = torch.stack(taken)
        self._kept.append((cells.cpu(), vectors.cpu(), row[..., 0].cpu()))
        return weights @ value
