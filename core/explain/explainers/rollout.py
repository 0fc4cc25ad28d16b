"""Attention rollout: how much of each input patch reaches the class token through all layers.

Paper: Abnar, Zuidema, Quantifying Attention Flow in Transformers, ACL 2020. Discard ratio as in jacobgil/vit-explain,
commit 15a81d3 (MIT).

Difference. Where small entries are discarded, that code divides by sums along the wrong axis, so rows no longer sum to
1; `discard_axis` "rows" (default) mends it, "reference" repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.explain.attention import on_grid
from core.explain.captured import Captured
from core.explain.explainer import Explainer, MapSet, Progress, for_every_class, no_progress
from core.explain.flow import through_layers
from core.tuning.option import Options, option


@dataclass(frozen=True)
class Config(Options):
    """Options of rollout."""

    residual: float = option(0.5, "Part of the path that passes by attention.", bounds=(0.0, 1.0))
    fusion: str = option("mean", "How heads are joined.", choices=("mean", "max", "min"), advanced=True)
    discard: float = option(0.0, "Part of each layer's smallest entries that is set to 0.", bounds=(0.0, 0.99))
    discard_axis: str = option(
        "rows", "Rows sum to 1 again, or are divided as in the reference.", choices=("rows", "reference"), advanced=True
    )


class Rollout(Explainer):
    """Vectors set anew at a layer start again there; vectors left to evolve carry on what they took up."""

    title = "Attention rollout"
    summary = "How much of each patch reaches the read-out through all layers. The same for every class."
    source = "Abnar, Zuidema. Quantifying Attention Flow in Transformers. ACL 2020; jacobgil/vit-explain (MIT)."
    scalar = "no score: what flows to the class token through attention, the same for every class"
    unit = "share of what reaches the class token"
    per_class = False
    signed = False
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        attention = captured.attention
        mixed = [self._mixed(weights.double()) for weights in attention.weights[:, 0]]
        flow = through_layers(mixed, [captured.tower.reset_at(layer) for layer in range(len(mixed))])
        row = flow[attention.class_token].cpu()
        facts = {"vectors_share": float(row[list(attention.extra)].sum())}
        return MapSet(for_every_class(on_grid(row, attention), class_indices), facts)

    def _mixed(self, weights: Tensor) -> Tensor:
        """(heads, tokens, tokens) to one matrix with the residual path in it, rows sum to 1."""
        joined = {"mean": weights.mean(dim=0), "max": weights.amax(dim=0), "min": weights.amin(dim=0)}
        fused = joined[self.config.fusion]
        tokens, part = fused.shape[-1], self.config.residual
        if self.config.discard:
            flat = fused.flatten().clone()
            smallest = flat.argsort(stable=True)[: int(len(flat) * self.config.discard)]
            flat[smallest[smallest != 0]] = 0
            fused = flat.view(tokens, tokens)
        mixed = (1 - part) * fused + part * torch.eye(tokens, dtype=fused.dtype, device=fused.device)
        sums = mixed.sum(dim=-1)
        return mixed / (sums[:, None] if self.config.discard_axis == "rows" else sums[None, :])
