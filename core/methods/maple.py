"""MaPLe: learned words, and vectors in the image tower that are computed from them.

Paper: Khattak, Rasheed, Maaz, Khan, Khan, MaPLe: Multi-modal Prompt Learning, CVPR 2023.
Official code: muzairkhattak/multimodal-prompt-learning (MIT); the settings for BiomedCLIP are those of
tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. The BiomedCLIP port declares deep prompts that no encoder reads: 92 % of its declared parameters stay as
they began. The default creates only what is used: one coupling, in the first layer, overwriting the first four patches.
Variant "paper" is deep (9 of 12 layers, in proportion where a tower has fewer), appends the vectors behind the patches
and sets new words at each layer, without the text tower's dropout, which no CLIP has. Deep words start from N(0,
0.02^2) as published; a BERT tower hears them only faintly at first, since its layers end in a norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.tuning.coupled_prompts import CoupledConfig, CoupledPrompts
from core.tuning.option import option


@dataclass(frozen=True)
class Config(CoupledConfig):
    """Options of MaPLe."""

    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class MaPLe(CoupledPrompts):
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
            "text_dropout": False,
            "visual_mode": "append",
            "context_length": 2,
            "epochs": 5,
            "batch_size": 4,
            "learning_rate": 0.0035,
            "augmentation": "crop_flip",
        }
    }
