"""KgCoOp: CoOp that is held near the plain sentences.

Paper: Yao, Zhang, Xu, Visual-Language Prompt Tuning with Knowledge-guided Context Optimization, CVPR 2023.
Official code: htyao89/KgCoOp; the settings for BiomedCLIP are those of HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The published trainer creates a bias vector, a second network and an adapter that it never uses; they are
left out. Its weights differ by data set (1 to 10); the default is the paper's 8. Its start is "a photo of a" whatever
is configured, here the template's words, and the sentence it is held near is the template unless one is given. Batches
of 128 make one update an epoch whatever the number of shots, as published; "updates" trains as long as another method.
The original recipe flips: variant "paper".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.tuning.class_texts import NearPlainWords
from core.tuning.contract import PromptConfig, Task
from core.tuning.option import option
from core.tuning.text_context import TextContext


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of KgCoOp."""

    teacher_template: str | None = option(
        None, "Sentence per class that the learned prompt is held near; empty takes the template.", slots=(1, 1)
    )
    knowledge_weight: float = option(8.0, "Weight of the distance to these sentences.", bounds=(0.0, 1000.0))
    batch_size: int = option(128, "Images per step.", unit="images", bounds=(1, 4096))


class KgCoOp(NearPlainWords):
    """Cross-entropy + weight x (1 - mean cosine of learned and plain class features)."""

    title = "KgCoOp"
    summary = "Like CoOp, but the learned words may not wander far from a plain sentence about each class."
    paper = "Yao, Zhang, Xu. Visual-Language Prompt Tuning with Knowledge-guided Context Optimization. CVPR 2023."
    code = "htyao89/KgCoOp; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "context words of the text prompt"
    variants: ClassVar = {"paper": {"knowledge_weight": 8.0, "augmentation": "crop_flip"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = TextContext(task.backbone, task.classes, config.template, n=config.context_length)
