"""Learned vectors inside the image tower."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from core.backbones.contract import Backbone, LayerTokens
from core.errors import InvalidOption

RANDOM_STD = 0.02


class VisualPrompt(nn.Module):
    """n vectors for each of the first `depth` layers (None: all), from N(0, 0.02^2) or from zero.

    mode "replace" overwrites the first n patches, "insert" lengthens the sequence behind the class token and "append"
    behind the last patch; all set the vectors anew at each of these layers. generator: of the random start; without one
    the vectors start at zero. Source: VPT (Jia et al., 2022). Raises InvalidOption for more layers than the tower has.
    """

    def __init__(
        self,
        backbone: Backbone,
        n: int,
        depth: int | None,
        mode: str,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        depth = depth or backbone.image_layers
        check_depth(depth, backbone.image_layers, "image")
        start = torch.zeros(depth, n, backbone.image_width)
        if generator:
            start = torch.randn(start.shape, generator=generator) * RANDOM_STD
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
