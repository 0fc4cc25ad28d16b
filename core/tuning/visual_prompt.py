"""Learned vectors inside the image tower."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from core.backbones.contract import Backbone, LayerTokens
from core.errors import InvalidOption

RANDOM_STD = 0.02


class VisualPrompt(nn.Module):
    """n vectors for each of the first `depth` layers, from N(0, 0.02^2).

    mode "replace" overwrites the first n patches, "insert" lengthens the sequence behind the class token and "append"
    behind the last patch; all set the vectors anew at each of these layers. Source: VPT (Jia et al., 2022).
    Raises InvalidOption for more layers than the tower has.
    """

    def __init__(
        self,
        backbone: Backbone,
        n: int,
        depth: int,
        mode: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        check_depth(depth, backbone.image_layers, "image")
        start = torch.randn(depth, n, backbone.image_width, generator=generator) * RANDOM_STD
        self.vectors = nn.ParameterList([nn.Parameter(layer.to(backbone.device)) for layer in start])
        self._mode: Literal["replace", "insert"] = "replace" if mode == "replace" else "insert"
        self._start = -1 if mode == "append" else 1

    def tokens(self) -> LayerTokens:
        """The vectors as the tower takes them."""
        vectors: tuple[Tensor, ...] = tuple(self.vectors)
        return LayerTokens(vectors, self._mode, self._start)


def check_depth(depth: int, layers: int, tower: str) -> None:
    """Raises InvalidOption if a tower has fewer layers than would get vectors."""
    if depth > layers:
        raise InvalidOption(
            f"The {tower} tower of this backbone has {layers} layers", f"depth is {depth}", f"Choose at most {layers}."
        )
