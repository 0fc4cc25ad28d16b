"""Gradient-weighted relevance: attention times its gradient, positive part, carried through the layers.

Paper: Chefer, Gur, Wolf, Generic Attention-Model Explainability, ICCV 2021. Official code:
hila-chefer/Transformer-MM-Explainability, commit 58eaea8 (MIT).

Difference. The official notebook for CLIP begins at the last block, that for vision transformers uses all;
`layers` chooses, and all is the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.explain.captured import Captured
from core.explain.explainer import ClassOptions, Explainer, MapSet, Progress, no_progress
from core.explain.flow import through_layers
from core.tuning.option import option


@dataclass(frozen=True)
class Config(ClassOptions):
    """Options of relevance."""

    layers: str = option("all", "Layers that relevance passes through.", choices=("all", "last"))


class Relevance(Explainer):
    """Products are clamped at 0 in each head before heads are averaged, so a map holds evidence for the class only."""

    title = "Gradient-weighted relevance"
    summary = "What the read-out took from each patch, through all layers, weighted by how it moved the class's score."
    source = "Chefer, Gur, Wolf. Generic Attention-Model Explainability. ICCV 2021; official code (MIT)."
    unit = "relevance: products of attention and its gradient, summed over paths"
    signed = False
    cost = "all blocks"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        if self.config.layers == "last":
            gradients = captured.last_gradients(class_indices, self.target).weights
            rows = captured.last.weights[0, :, captured.layout.class_token].detach()
            return MapSet(captured.on_grid((rows * gradients).clamp(min=0).mean(dim=1)))
        maps = []
        for done, index in enumerate(class_indices):
            progress(done, len(class_indices))
            maps.append(self._through_all(captured, index))
        return MapSet(np.stack(maps))

    def _through_all(self, captured: Captured, index: int) -> np.ndarray:
        gradients, tower = captured.attention_gradients(index, self.target), captured.whole.tower
        steps = []
        for layer, (block, gradient) in enumerate(zip(tower.blocks, gradients, strict=True)):
            products = (block.weights[0].detach() * gradient).clamp(min=0).mean(dim=0).double()
            wide = tower.widen(layer, products, 0.0)
            steps.append(wide + torch.eye(len(wide), dtype=wide.dtype, device=wide.device))
        flow = through_layers(steps, [tower.reset_at(layer) for layer in range(len(steps))])
        return captured.on_grid(flow[captured.layout.class_token])
