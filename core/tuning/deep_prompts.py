"""Learned words in the layers of the text tower and learned vectors in those of the image tower, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.backbones.contract import LayerTokens
from core.errors import InvalidOption
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, Task, augmentation_option
from core.tuning.option import option
from core.tuning.text_context import DeepWords, TextContext
from core.tuning.visual_prompt import VisualPrompt

DEEP_STARTS = ("auto", "random", "words")


def deep_start_option() -> Any:
    """The option of what the words of deeper layers are at first."""
    return option(
        "auto",
        "What the words of deeper text layers start from: N(0, 0.02^2) as published (random), or what the first "
        "layer's words become there (words); auto: words in a BERT, which hardly hears small vectors, else random.",
        choices=DEEP_STARTS,
        advanced=True,
    )


def deep_words(context: TextContext, depth: int, task: Task, start: str) -> DeepWords:
    """Words of the text layers from the second to `depth`. start: one of DEEP_STARTS."""
    tower = task.backbone
    own = start == "words" or (start == "auto" and tower.text_kind == "bert")
    return DeepWords(tower, context.n, depth, task.generator(), context.hidden_words(depth) if own else None)


@dataclass(frozen=True)
class DeepPromptConfig(PromptConfig):
    """Options of methods that learn words and vectors in several layers of both towers."""

    text_share: float = option(
        0.75,
        "Share of the text layers, from the first, that get words: 0.75 as published, 0 leaves the sentences alone.",
        bounds=(0.0, 1.0),
    )
    visual_tokens: int = option(4, "Learned vectors behind the last patch.", unit="tokens", bounds=(1, 64))
    visual_share: float = option(
        0.75,
        "Share of the image layers, from the first, that get vectors; 0 leaves the image tower as it is: fast.",
        bounds=(0.0, 1.0),
    )
    deep_start: str = deep_start_option()
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0025, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option("crop_flip")


class DeepPrompts(LearnedWords):
    """Words in the first text layers and, independent of them, vectors in the first image layers.

    Either side may be left out: its features are then those of the frozen tower. Source: independent vision-language
    prompting as PromptSRC (Khattak et al., 2023) defines it. Raises InvalidOption where nothing is learned.
    """

    visual: VisualPrompt | None
    _plain: Tensor

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        self._text_depth = share_of_layers(config.text_share, tower.text_layers)
        depth = share_of_layers(config.visual_share, tower.image_layers)
        if not self._text_depth and not depth:
            raise InvalidOption(
                "Words or vectors to learn", "'text_share' and 'visual_share' are both 0", "Raise one of them."
            )
        if self._text_depth:
            self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
            self.deep = deep_words(self.context, self._text_depth, task, config.deep_start)
        else:
            self.register_buffer("_plain", task.template_features(config.template), persistent=False)
        self.visual = None
        if depth:
            self.visual = VisualPrompt(tower, config.visual_tokens, depth, "append", task.generator())

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "frozen" if config.visual_share == 0 else "trained"

    def visual_tokens(self) -> LayerTokens | None:
        return self.visual.tokens() if self.visual else None

    def class_features(self) -> Tensor:
        if not self._text_depth:
            return self._plain
        return self.context.features(dropout=self.drops_text, tokens=self.deep.tokens())


def share_of_layers(share: float, layers: int) -> int:
    """How many of so many layers a share is: at least one unless it is 0."""
    return max(1, int(share * layers)) if share else 0
