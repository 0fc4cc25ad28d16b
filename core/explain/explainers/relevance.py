"""Gradient-weighted relevance: attention times its gradient, positive part, carried through the layers.

Paper: Chefer, Gur, Wolf, Generic Attention-Model Explainability, ICCV 2021. Official code:
hila-chefer/Transformer-MM-Explainability, commit 58eaea8 (MIT).

Difference. The official notebook for CLIP begins at the last block, that for vision transformers uses all; `layers`
"last" and "all" do so. The default is the last third: on images with known lesions it found them as often as all layers
or more often, for a third of the way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.explain.captured import Captured, Graph
from core.explain.explainer import ClassOptions, Explainer, MapSet, Progress, no_progress
from core.explain.flow import through_layers
from core.tuning.option import option


@dataclass(frozen=True)
class Config(ClassOptions):
    """Options of relevance."""

    layers: str = option("last_third", "Layers that relevance passes through.", choices=("last_third", "all", "last"))


class Relevance(Explainer):
    """Products are clamped at 0 in each head before heads are averaged, so a map holds evidence for the class only."""

    title = "Gradient-weighted relevance"
    summary = (
        "What the read-out took from each patch, through the last layers, weighted by how it moved the class's score."
    )
    source = "Chefer, Gur, Wolf. Generic Attention-Model Explainability. ICCV 2021; official code (MIT)."
    unit = "relevance: products of attention and its gradient, summed over paths"
    signed = False
    cost = "last third"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        if self.config.layers == "last":
            gradients = captured.last_gradients(class_indices, self.target).weights
            rows = captured.last.weights[0, :, captured.layout.class_token].detach()
            return MapSet(captured.on_grid((rows * gradients).clamp(min=0).mean(dim=1)))
        graph: Graph = "all" if self.config.layers == "all" else "third"
        by_block = captured.attention_gradients(class_indices, graph, self.target)
        return MapSet(captured.on_grid(torch.stack(self._flows(captured.with_graph(graph), by_block))))

    def _flows(self, captured: Captured, gradients: Mapping[int, Tensor]) -> list[Tensor]:
        """What the class token got from each token, one a class: (tokens,)."""
        tower, found = captured.tower, []
        resets = [tower.reset_at(block) for block in gradients]
        for index in range(len(next(iter(gradients.values())))):
            steps = []
            for block, gradient in gradients.items():
                weights = tower.blocks[block].weights[0].detach()
                products = (weights * gradient[index]).clamp(min=0).mean(dim=0).double()
                wide = tower.widen(block, products, 0.0)
                steps.append(wide + torch.eye(len(wide), dtype=wide.dtype, device=wide.device))
            found.append(through_layers(steps, resets)[captured.layout.class_token])
        return found
