"""CoOp: learn the words in front of the class name.

Paper: Zhou, Yang, Loy, Liu, Learning to Prompt for Vision-Language Models, IJCV 2022.
Official code: KaiyangZhou/CoOp; the settings for BiomedCLIP are those of HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The BiomedCLIP trainers start from the words "a photo of a" (4 tokens), train 100 epochs at every number of
shots and never flip; the paper starts from 16 random tokens, trains 50, 100 or 200 epochs by shots ("epochs_by_shots")
and flips: variant "paper". The class name stands at the end; position "middle_ref" keeps the published order in which
only the first token of a name moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from core.tuning.class_texts import LearnedWords, learned_context
from core.tuning.contract import PromptConfig, Starter, Task
from core.tuning.option import option
from core.tuning.text_context import POSITIONS

EPOCHS_BY_SHOTS = ((1, 50), (4, 100))
MOST_EPOCHS = 200
"""Up to 1 shot 50 epochs, up to 4 shots 100, beyond 200."""


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of CoOp."""

    random_start: bool = option(False, "Start from random vectors instead of the template's words.")
    per_class: bool = option(False, "Learn a context of its own for each class.")
    position: str = option("end", "Where the class name stands.", choices=POSITIONS, advanced=True)
    epochs_by_shots: bool = option(
        False,
        "The epochs follow the images per class as in the paper: 50 for 1, 100 up to 4, 200 beyond.",
        advanced=True,
    )

    def settled(self, images: int, classes: int) -> Self:
        if not self.epochs_by_shots or self.updates is not None:
            return super().settled(images, classes)
        fitting = (epochs for shots, epochs in EPOCHS_BY_SHOTS if images // classes <= shots)
        return replace(self, epochs=next(fitting, MOST_EPOCHS))


class CoOp(LearnedWords):
    """Context vectors shared by all classes (or one set a class), trained by cross-entropy."""

    title = "CoOp"
    summary = "Learns the few words in front of each class name; images and the rest of the model stay as they are."
    paper = "Zhou, Yang, Loy, Liu. Learning to Prompt for Vision-Language Models. IJCV 2022."
    code = "KaiyangZhou/CoOp; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "context words of the text prompt"
    starter = Starter(1, "Quick")
    variants: ClassVar = {
        "paper": {
            "context_length": 16,
            "random_start": True,
            "epochs": 200,
            "epochs_by_shots": True,
            "augmentation": "crop_flip",
        }
    }

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = learned_context(config, task, per_class=config.per_class, position=config.position)

    def can_rename_classes(self) -> bool:
        return not self.config.per_class
