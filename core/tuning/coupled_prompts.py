"""Learned words and, computed from them layer by layer, vectors in the image tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from core.backbones.contract import LayerTokens
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, Task
from core.tuning.deep_prompts import deep_words
from core.tuning.option import option
from core.tuning.text_context import TextContext
from core.tuning.visual_prompt import check_depth


@dataclass(frozen=True)
class CoupledConfig(PromptConfig):
    """Options of methods whose vectors in the image tower are computed from the words."""

    depth: int | None = option(
        1,
        "Layers of both towers that get prompts; empty: 9 of 12, in proportion to the smaller tower.",
        unit="layers",
        bounds=(1, 64),
    )
    visual_mode: str = option(
        "replace",
        "The vectors replace the first patches or are appended behind the last.",
        choices=("replace", "append"),
    )


class CoupledPrompts(LearnedWords):
    """Base of methods in which each layer's visual vectors are a linear map of the same layer's words.

    Source: MaPLe (Khattak et al., 2023).
    """

    published_share = 0.75
    """Of the layers of the smaller tower: as many get prompts where no depth is given."""
    deep_start = "random"
    """What words of deeper layers start from, see `core.tuning.deep_prompts`."""

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        layers = min(tower.image_layers, tower.text_layers)
        depth = config.depth or max(1, int(self.published_share * layers))
        check_depth(depth, layers, "image or text")
        self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
        self.deep = deep_words(self.context, depth, task, self.deep_start)
        with task.initial_values():
            self.proj = nn.Linear(tower.text_width, tower.image_width).to(tower.device)
            # the published deep maps all start equal
            self.deep_proj = nn.ModuleList([nn.Linear(tower.text_width, tower.image_width) for _ in self.deep])
        for layer in self.deep_proj:
            layer.load_state_dict(self.deep_proj[0].state_dict())
        self.deep_proj.to(tower.device)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def visual_tokens(self) -> LayerTokens:
        vectors = [self.proj(self.context.vectors)]
        vectors += [layer(words) for layer, words in zip(self.deep_proj, self.deep, strict=True)]
        if self.config.visual_mode == "replace":
            return LayerTokens(tuple(vectors), "replace")
        return LayerTokens(tuple(vectors), "insert", start=-1)

    def class_features(self) -> Tensor:
        return self.context.features(dropout=self.drops_text, tokens=self.deep.tokens())
