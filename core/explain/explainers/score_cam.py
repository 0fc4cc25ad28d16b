"""Score-CAM: each channel of the last block's first norm as a mask, weighted by the score of the masked picture.

Papers: Wang et al., Score-CAM, CVPR Workshops 2020; Chen et al., gScoreCAM, ACCV 2022. Code read:
jacobgil/pytorch-grad-cam, commit 084273b (MIT), and anguyen8/gScoreCAM, commit 87c35a1 (MIT).

Differences. Channels are enlarged with half-pixel centres. gScoreCAM's channels that are not scored keep the score 0
inside the softmax, where it beats every negative score: `unscored` "excluded" (default) leaves them out, "reference"
keeps them. A softmax over scores that are scaled cosines is nearly one-hot; `weights` "difference" takes the rise above
the score of an empty picture instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.explain.captured import IMAGES_AT_ONCE, Captured, target_matrix
from core.explain.explainer import ClassOptions, Explainer, MapSet, Progress, no_progress
from core.tuning.option import option


@dataclass(frozen=True)
class Config(ClassOptions):
    """Options of Score-CAM."""

    channels: int | None = option(
        None,
        "Score only so many channels, those with the largest mean gradient (gScoreCAM); empty: all.",
        unit="channels",
        bounds=(1, 100_000),
    )
    unscored: str = option(
        "excluded", "Channels that are not scored: left out, or scored 0.", choices=("excluded", "reference")
    )
    weights: str = option(
        "softmax",
        "Weight of a channel: softmax of scores, or the rise above the empty picture's score.",
        choices=("softmax", "difference"),
    )


class ScoreCam(Explainer):
    """One pass a channel; masked pixels move towards the mean colour of the backbone's training images."""

    title = "Score-CAM"
    summary = "Channels weighted by the score the picture gets where they are strong. Slow: hundreds of passes."
    source = "Wang et al. Score-CAM. CVPR Workshops 2020; Chen et al. gScoreCAM. ACCV 2022 (codes MIT)."
    unit = "activation, averaged over channels by score"
    cost = "many passes"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        values = captured.last.normed[0].detach()
        chosen = self._channels(captured, class_indices)
        scored = sorted(set().union(*(row.tolist() for row in chosen)))
        scores, empty = self._scores(captured, values, scored, progress)
        maps = []
        for index, channels in zip(class_indices, chosen, strict=True):
            places = [scored.index(channel) for channel in channels.tolist()]
            weights = self._weights(scores[places, index], float(empty[index]), values.shape[-1])
            full = torch.zeros(values.shape[-1], dtype=torch.float64)
            full[channels] = weights
            maps.append(captured.on_grid(values.double().cpu() @ full))
        return MapSet(np.stack(maps), {"passes": len(scored) + 1})

    def _channels(self, captured: Captured, class_indices: Sequence[int]) -> list[Tensor]:
        """The channels scored for each class."""
        width = captured.last.normed.shape[-1]
        if self.config.channels is None or self.config.channels >= width:
            return [torch.arange(width)] * len(class_indices)
        gradients = captured.last_gradients(class_indices, self.target).normed
        means = gradients[:, list(captured.layout.patches)].mean(dim=1).cpu()
        return list(means.argsort(dim=-1, descending=True)[:, : self.config.channels])

    def _scores(
        self, captured: Captured, values: Tensor, channels: list[int], progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """Explained scalars of the masked pictures (channels, all classes), and of the empty one; float64."""
        found = []
        for start in range(0, len(channels), IMAGES_AT_ONCE):
            progress(start, len(channels))
            masks = _masks(captured, values[:, channels[start : start + IMAGES_AT_ONCE]])
            found.append(captured.scores_of(captured.pixels * masks))
        empty = captured.scores_of(torch.zeros_like(captured.pixels))[0]
        scalars = torch.stack([target_matrix(row, self.target) @ row.double() for row in torch.cat(found)])
        return scalars, target_matrix(empty, self.target) @ empty.double()

    def _weights(self, scores: Tensor, empty: float, width: int) -> Tensor:
        """Weights (channels,) of the scored channels."""
        if self.config.weights == "difference":
            rises = (scores - empty).clamp(min=0)
            return rises / rises.sum() if float(rises.sum()) > 0 else rises
        if self.config.unscored == "excluded":
            return scores.softmax(dim=0)
        return torch.cat([scores, scores.new_zeros(width - len(scores))]).softmax(dim=0)[: len(scores)]


def _masks(captured: Captured, values: Tensor) -> Tensor:
    """Channels (tokens, channels) as masks of the picture's size (channels, 1, size, size), each from 0 to 1."""
    layout, size = captured.layout, captured.pixels.shape[-2:]
    cells = values.new_zeros(values.shape[1], layout.grid[0] * layout.grid[1])
    cells[:, list(layout.patch_index)] = values[list(layout.patches)].T
    masks = functional.interpolate(cells.view(-1, 1, *layout.grid), size=size, mode="bilinear", align_corners=False)
    low = masks.amin(dim=(2, 3), keepdim=True)
    return (masks - low) / (masks.amax(dim=(2, 3), keepdim=True) - low + 1e-8)
