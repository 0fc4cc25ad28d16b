"""VPT: learned vectors inside the image tower; the class sentences stay as they are.

Paper: Jia et al., Visual Prompt Tuning, ECCV 2022.
Official code of the settings followed here: tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. The paper inserts vectors beside the patches, in every layer ("deep") or the first ("shallow"). The
BiomedCLIP trainer announces deep prompts with learned text, but overwrites the first four patches in the first layer
and leaves the text alone; the default follows it, variant "paper" inserts in every layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from core.backbones.contract import LayerTokens
from core.tuning.class_texts import PlainTexts
from core.tuning.contract import ImagePath, LoopConfig, Task
from core.tuning.option import option
from core.tuning.visual_prompt import VisualPrompt


@dataclass(frozen=True)
class Config(LoopConfig):
    """Options of VPT."""

    visual_tokens: int = option(4, "Learned vectors in the image tower.", unit="tokens", bounds=(1, 64))
    visual_depth: int | None = option(
        1, "Layers that get vectors of their own; empty: every layer.", unit="layers", bounds=(1, 64)
    )
    visual_mode: str = option(
        "replace", "The vectors replace the first patches or stand beside them.", choices=("replace", "insert")
    )


class VPT(PlainTexts):
    """Cross-entropy through the whole image tower."""

    title = "VPT"
    summary = "Learns a few vectors that the image tower reads along with the picture. Slow: images are read each step."
    paper = "Jia et al. Visual Prompt Tuning. ECCV 2022."
    code = "tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "vectors inside the image tower"
    renames_classes = True
    variants: ClassVar = {"paper": {"visual_mode": "insert", "visual_depth": None}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.visual = VisualPrompt(
            task.backbone, config.visual_tokens, config.visual_depth, config.visual_mode, task.generator()
        )

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def visual_tokens(self) -> LayerTokens:
        return self.visual.tokens()
