"""MaPLe: learned words, and vectors in the image tower that are computed from them.

Paper: Khattak, Rasheed, Maaz, Khan, Khan, MaPLe: Multi-modal Prompt Learning, CVPR 2023.
Official code: muzairkhattak/multimodal-prompt-learning (MIT); the settings for BiomedCLIP are those of
tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. The BiomedCLIP port declares deep prompts that no encoder reads: 92 % of its declared parameters stay as
they began. The default creates only what is used: one coupling, in the first layer, overwriting the first four patches.
Variant "paper" is deep (9 of 12 layers, in proportion where a tower has fewer), appends the vectors behind the patches
and sets new words at each layer. Deep words start from N(0, 0.02^2) as published; a BERT tower hears them only faintly
at first, since its layers end in a norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from core.backbones.contract import LayerTokens
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, Task
from core.tuning.option import option
from core.tuning.text_context import DeepWords, TextContext
from core.tuning.visual_prompt import check_depth


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of MaPLe."""

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
    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class MaPLe(LearnedWords):
    """Each layer's visual vectors are a linear map of the same layer's words."""

    title = "MaPLe"
    summary = (
        "Learns words and, computed from them, vectors in the image tower, so that both sides move together. Slow."
    )
    paper = "Khattak, Rasheed, Maaz, Khan, Khan. MaPLe: Multi-modal Prompt Learning. CVPR 2023."
    code = "muzairkhattak/multimodal-prompt-learning; tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "context words and maps from them into the image tower"
    variants: ClassVar = {
        "paper": {
            "depth": None,
            "visual_mode": "append",
            "context_length": 2,
            "epochs": 5,
            "batch_size": 4,
            "learning_rate": 0.0035,
            "augmentation": "crop_flip",
        }
    }

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        layers = min(tower.image_layers, tower.text_layers)
        depth = config.depth or max(1, 9 * layers // 12)
        check_depth(depth, layers, "image or text")
        self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
        self.deep = DeepWords(tower, self.context.n, depth, task.generator())
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
