"""TCP: words of each class, made from its plain sentence, set into the middle of the text tower.

Paper: Yao, Zhang, Xu, TCP: Textual-based Class-aware Prompt Tuning for Visual-Language Model, CVPR 2024.
Official code: htyao89/Textual-based_Class-aware_prompt_tuning (MIT).

Differences. The layer that takes the new words is the ninth of twelve, in proportion where a tower has fewer or more.
The code's option for mixing them with the old words is overwritten by a constant; here as there they replace them. In a
BERT tower words between layers have the length that a norm gave them, against which a fresh network's output is next
to silent: there it is brought to the length of the words it replaces ("inject_norm"; variant "reference" leaves it).
The second template with placeholders is the first with its words before the name learned from random vectors. Adam's
epsilon of 1e-3, which the code asks for because of half precision, is kept: it is part of the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import NearPlainWords, learned_context
from core.tuning.contract import PromptConfig, Task, augmentation_option
from core.tuning.option import option


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of TCP."""

    random_start: bool = option(True, "Start from random vectors instead of the template's words.")
    teacher_template: str | None = option(
        None,
        "Sentence per class that the words are made from and held near; empty takes the template.",
        slots=(1, 1),
    )
    knowledge_weight: float = option(8.0, "Weight of the distance to these sentences.", bounds=(0.0, 1000.0))
    inject: bool = option(True, "Set the words of each class into the text tower; without them the method is KgCoOp.")
    inject_layer: int | None = option(
        None,
        "Text layers before the one that takes them; empty: 8 of 12, in proportion.",
        unit="layers",
        bounds=(0, 64),
        advanced=True,
    )
    inject_norm: str = option(
        "auto",
        "Length of the new words: as the network gives them, or matched to those they replace (auto: in a BERT tower).",
        choices=("auto", "none", "match"),
        advanced=True,
    )
    reduction: int = option(
        4, "The network's hidden layer is the feature width divided by this.", bounds=(1, 256), advanced=True
    )
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    optimizer: str = option("adam", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    epsilon: float = option(1e-3, "Stabiliser of Adam and AdamW.", bounds=(0.0, 1.0), advanced=True)
    augmentation: str = augmentation_option("crop_flip")


class TCP(NearPlainWords):
    """KgCoOp's loss; from one layer on a small network's output stands in the place of the learned words."""

    title = "TCP"
    summary = "Like KgCoOp, but words of its own for each class, made from its plain sentence, join in half-way."
    paper = "Yao, Zhang, Xu. TCP: Textual-based Class-aware Prompt Tuning for Visual-Language Model. CVPR 2024."
    code = "htyao89/Textual-based_Class-aware_prompt_tuning"
    licence = "MIT"
    trains = "context words and a small network that makes words for each class"
    variants: ClassVar = {"reference": {"inject_norm": "none"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        self.context = learned_context(config, task)
        hidden = max(1, tower.joint_width // config.reduction)
        with task.initial_values():
            first, second = (
                nn.Linear(tower.joint_width, hidden),
                nn.Linear(hidden, self.context.n * tower.text_width),
            )
        self.meta_net = nn.Sequential(first, QuickGELU(), second).to(tower.device)
        last = tower.text_layers - 1
        self._layer = min(8 * tower.text_layers // 12 if config.inject_layer is None else config.inject_layer, last)
        self._matched = config.inject_norm == "match" or (config.inject_norm == "auto" and tower.text_kind == "bert")

    def class_words(self) -> Tensor:
        """The words of each class as the network gives them: (classes, n, text_width)."""
        return self.meta_net(self._teacher).unflatten(-1, (self.context.n, -1))

    def class_features(self) -> Tensor:
        if not self.config.inject:
            return super().class_features()
        found = self.context.raw_features(dropout=self.drops_text, before_layer=self._injected)
        return functional.normalize(found, dim=-1)

    def _injected(self, layer: int, hidden: Tensor) -> Tensor:
        """The hidden states (classes, length, text_width) with each class's words in their place."""
        if layer != self._layer:
            return hidden
        words, end = self.class_words(), 1 + self.context.n
        if self._matched:
            words = match_length(words, hidden[:, 1:end])
        return torch.cat([hidden[:, :1], words.to(hidden.dtype), hidden[:, end:]], dim=1)


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def match_length(words: Tensor, replaced: Tensor) -> Tensor:
    """Words (classes, n, width) scaled so that those of a class are on average as long as what they replace.

    The lengths of what is replaced are taken as numbers: they carry no gradient.
    """
    lengths = replaced.detach().norm(dim=-1).mean(dim=-1), words.norm(dim=-1).mean(dim=-1)
    return words * (lengths[0] / lengths[1].clamp_min(1e-6))[:, None, None]
