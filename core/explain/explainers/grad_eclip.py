"""Grad-ECLIP: values of the last block, weighted by the gradient of what the class token's attention mixed.

Paper: Zhao et al., Gradient-based Visual Explanation for Transformer-based CLIP, ICML 2024. Official code:
Cyang-Zhao/Grad-Eclip, commit 5c1b5cc (no licence: described, not copied).

Differences. The code computes the last block again with one head as wide as all, so it explains features that are not
the model's; here the model's own heads count. Its looseness of fit, the cosine of query and key, passes both through
the output projection; `looseness` "projected" (default) follows it. Negative values are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.explain.captured import Captured
from core.explain.explainer import ClassOptions, Explainer, MapSet, Progress, no_progress
from core.tuning.option import option


@dataclass(frozen=True)
class Config(ClassOptions):
    """Options of Grad-ECLIP."""

    looseness: str = option(
        "projected",
        "Weight of each patch: cosine of query and key through the output projection, the plain cosine, 1, or the "
        "attention of each head.",
        choices=("projected", "plain", "none", "attention"),
    )


class GradEclip(Explainer):
    """Cosines are stretched to 0..1 over the patches that are there, so the least similar one gets exactly 0."""

    title = "Grad-ECLIP"
    summary = "What each patch offers to the last block's read-out, weighted by how it moves the class's score."
    source = "Zhao et al. Gradient-based Visual Explanation for Transformer-based CLIP. ICML 2024."
    unit = "class score: gradient times value, weighted by looseness"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        gradients = captured.last_gradients(class_indices, self.target).mixed.double()
        values = captured.last.value[0].detach().double()
        products = torch.einsum("chd,hjd->chj", gradients, values)
        if self.config.looseness == "attention":
            rows = captured.last.weights[0, :, captured.layout.class_token].detach().double()
            return MapSet(captured.on_grid((products * rows).sum(dim=1)))
        return MapSet(captured.on_grid(products.sum(dim=1) * self._looseness(captured)))

    def _looseness(self, captured: Captured) -> Tensor:
        """(tokens,), 0..1 over patches."""
        query, key = (part[0].detach().double().transpose(0, 1).flatten(1) for part in _pair(captured))
        if self.config.looseness == "none":
            return torch.ones(len(key), dtype=key.dtype, device=key.device)
        if self.config.looseness == "projected":
            output = captured.backbone.attention_output(captured.backbone.image_layers - 1)
            weight, bias = output.weight.detach().double(), output.bias.detach().double()
            query, key = query @ weight.T + bias, key @ weight.T + bias
        cosines = functional.cosine_similarity(query[captured.layout.class_token][None], key, dim=-1)
        there = cosines[list(captured.layout.patches)]
        low, high = there.min(), there.max()
        return (cosines - low) / (high - low) if high > low else torch.zeros_like(cosines)


def _pair(captured: Captured) -> tuple[Tensor, Tensor]:
    return captured.last.query, captured.last.key
