"""Learned vectors inside the image tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.backbones.contract import Backbone, LayerTokens
from core.errors import InvalidOption
from core.tuning.contract import ImagePath, Method, MethodConfig, Task
from core.tuning.option import option

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


@dataclass(frozen=True)
class VisualPromptConfig(MethodConfig):
    """Options of methods with one visual prompt, of their own options the part that concerns it."""

    visual_tokens: int = option(4, "Learned vectors in the image tower.", unit="tokens", bounds=(1, 64))
    visual_depth: int | None = option(
        1, "Layers that get vectors of their own; empty: every layer.", unit="layers", bounds=(1, 64)
    )
    visual_mode: str = option(
        "replace", "The vectors replace the first patches or stand beside them.", choices=("replace", "insert")
    )


class VisuallyPrompted(Method):
    """Base of methods that learn a visual prompt by these options, and train it through the whole image tower."""

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self.visual = VisualPrompt(
            task.backbone, config.visual_tokens, config.visual_depth, config.visual_mode, task.generator()
        )

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def visual_tokens(self) -> LayerTokens:
        return self.visual.tokens()


def check_depth(depth: int, layers: int, tower: str) -> None:
    """Raises InvalidOption if a tower has fewer layers than would get vectors."""
    if depth > layers:
        raise InvalidOption(
            f"The {tower} tower of this backbone has {layers} layers", f"depth is {depth}", f"Choose at most {layers}."
        )
