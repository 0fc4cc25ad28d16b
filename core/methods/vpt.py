"""VPT: learned vectors inside the image tower; the class sentences stay as they are.

Paper: Jia et al., Visual Prompt Tuning, ECCV 2022.
Official code of the settings followed here: tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. The paper inserts vectors beside the patches, in every layer ("deep") or the first ("shallow"). The
BiomedCLIP trainer announces deep prompts with learned text, but overwrites the first four patches in the first layer
and leaves the text alone; the default follows it, variant "paper" inserts in every layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.tuning.class_texts import PlainTexts
from core.tuning.contract import LoopConfig
from core.tuning.visual_prompt import VisuallyPrompted, VisualPromptConfig


@dataclass(frozen=True)
class Config(VisualPromptConfig, LoopConfig):
    """Options of VPT."""


class VPT(VisuallyPrompted, PlainTexts):
    """Cross-entropy through the whole image tower."""

    title = "VPT"
    summary = "Learns a few vectors that the image tower reads along with the picture. Slow: images are read each step."
    paper = "Jia et al. Visual Prompt Tuning. ECCV 2022."
    code = "tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "vectors inside the image tower"
    renames_classes = True
    variants: ClassVar = {"paper": {"visual_mode": "insert", "visual_depth": None}}
