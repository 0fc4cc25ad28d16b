"""LeGrad: how the class's score, read after each layer, would rise with that layer's attention.

Paper: Bousselham et al., LeGrad: An Explainability Method for Vision Transformers via Feature Formation Sensitivity,
2024. Official code: WalBouss/LeGrad, commit a9edb03 (MIT).

Differences. The code reads each layer as the mean over all tokens, even where the model reads its class token, scores
it by the plain cosine, uses the last two layers of CLIP towers, and stretches the sum to 0..1. The default reads what
the model reads, in all layers; `pool` "mean" and `layers` "last_two" repeat the code. Values are raw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.attention import split_heads
from core.explain.captured import Captured, gradients_of, open_scores, target_matrix
from core.explain.explainer import ClassOptions, Explainer, MapSet, Progress, no_progress
from core.tuning.option import option


@dataclass(frozen=True)
class Config(ClassOptions):
    """Options of LeGrad."""

    pool: str = option(
        "cls", "What each layer is read by: its class token, or the mean of its tokens.", choices=("cls", "mean")
    )
    layers: str = option("all", "Layers summed.", choices=("all", "last_two"))


class LeGrad(Explainer):
    """The gradient itself, clamped at 0, not gradient times attention; each layer is read on its own."""

    title = "LeGrad"
    summary = "Where more attention would raise the class's score, summed over layers."
    source = "Bousselham et al. LeGrad. 2024; WalBouss/LeGrad (MIT)."
    unit = "rise of the class score per unit of attention, mean over heads and queries"
    signed = False
    cost = "all blocks"
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        layers = range(captured.backbone.image_layers)
        chosen = layers if self.config.layers == "all" else layers[-2:]
        total: Tensor | float = 0.0
        for done, layer in enumerate(chosen):
            progress(done, len(chosen))
            total = total + captured.tower.spread(self._layer(captured, layer, class_indices))
        assert isinstance(total, Tensor), "a tower has layers"
        return MapSet(captured.on_grid(total))

    def _layer(self, captured: Captured, layer: int, class_indices: Sequence[int]) -> Tensor:
        """One layer's part: (classes, its tokens), float64."""
        backbone = captured.backbone
        with torch.inference_mode(False), torch.enable_grad():
            start = captured.tower.blocks[layer].enters.detach().requires_grad_()
            block = backbone.open_block(layer, start)
            kept = self._counted(captured, block.leaves.shape[1])
            hidden = block.leaves if self.config.pool == "cls" else block.leaves[:, kept].mean(dim=1, keepdim=True)
            features = functional.normalize(backbone.read_out(hidden), dim=-1)
        leaf, scores = open_scores(captured.classifier, features)
        jacobian = torch.stack([torch.autograd.grad(score, leaf, retain_graph=True)[0][0] for score in scores])
        rows = target_matrix(captured.logits, self.target).to(jacobian) @ jacobian
        if self.config.pool == "mean":
            rows = rows / backbone.logit_scale  # the code's cosine carries no scale
        (mixed,) = gradients_of(features, (block.mixed,), rows[list(class_indices)])
        heads, values = block.value.shape[1], block.value[0].detach()
        found = []
        for gradient in mixed[:, 0]:
            by_head = split_heads(gradient[None], heads)[0]
            weights = torch.einsum("hid,hjd->hij", by_head, values)[:, kept].clamp(min=0)
            found.append(weights.double().mean(dim=(0, 1)))
        return torch.stack(found)

    def _counted(self, captured: Captured, tokens: int) -> list[int]:
        """Tokens of a layer that are no extra vectors."""
        total = captured.tower.blocks[-1].enters.shape[1]
        extra = captured.layout.extra if tokens == total else ()
        return [position for position in range(tokens) if position not in extra]
