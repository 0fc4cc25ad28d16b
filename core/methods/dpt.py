"""DPT: learned words and learned vectors in the image tower, side by side.

Paper: Xing et al., Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model, IEEE Transactions on Multimedia
2024.
Official code of the settings followed here: tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. The paper generates class-aware visual prompts; the BiomedCLIP trainer joins CoOp's context with four
vectors that overwrite the first four patches in the first layer, trained together and independent of each other. The
default follows it, with the class name at the end, where the trainer's default order tears names apart ("middle_ref",
variant "reference"). Class-aware visual prompts are not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.tuning.class_texts import LearnedWords
from core.tuning.contract import PromptConfig, Task
from core.tuning.option import option
from core.tuning.text_context import POSITIONS, TextContext
from core.tuning.visual_prompt import VisuallyPrompted, VisualPromptConfig


@dataclass(frozen=True)
class Config(VisualPromptConfig, PromptConfig):
    """Options of DPT."""

    position: str = option("end", "Where the class name stands.", choices=POSITIONS, advanced=True)
    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class DPT(VisuallyPrompted, LearnedWords):
    """Cross-entropy through both towers."""

    title = "DPT"
    summary = "Learns words in front of the class names and vectors in the image tower together. Slow."
    paper = "Xing et al. Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model. IEEE TMM 2024."
    code = "tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "context words and vectors inside the image tower"
    variants: ClassVar = {"reference": {"position": "middle_ref"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = TextContext(
            task.backbone, task.classes, config.template, n=config.context_length, position=config.position
        )
