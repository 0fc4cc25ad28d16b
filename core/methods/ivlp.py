"""IVLP: learned words and learned vectors in many layers of both towers, independent of each other.

Paper: the baseline of Khattak, Wasim, Naseer, Khan, Yang, Khan, Self-regulating Prompts: Foundational Model Adaptation
without Forgetting, ICCV 2023; before it in the code of MaPLe (Khattak et al., CVPR 2023).
Official code: muzairkhattak/PromptSRC and muzairkhattak/multimodal-prompt-learning (both MIT).

The default has the settings of PromptSRC's repository: four words and four vectors in 9 of 12 layers. Variant "paper"
has those of MaPLe's repository: two and two in all layers, of the other two words of "a photo of a" none is learned.
Either side may stand alone: "visual_share" 0 is language prompting on features computed once, "text_share" 0 is deep
visual prompting against the plain sentences.

Differences. The code forces prompts to half precision; here they are float32. Words of deeper layers start from
N(0, 0.02^2) there; in a BERT such vectors are hardly heard, so that by default they start there from what the first
words become in that layer ("deep_start").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.tuning.deep_prompts import DeepPromptConfig, DeepPrompts
from core.tuning.option import option


@dataclass(frozen=True)
class Config(DeepPromptConfig):
    """Options of IVLP."""

    epochs: int = option(20, "Passes over the training images.", unit="epochs", bounds=(1, 5000))


class IVLP(DeepPrompts):
    """Cross-entropy alone, through both towers."""

    title = "IVLP"
    summary = "Learns words for the class sentences and vectors in the image tower, in many layers of both. Slow."
    paper = (
        "Khattak, Wasim, Naseer, Khan, Yang, Khan. Self-regulating Prompts: Foundational Model Adaptation without "
        "Forgetting. ICCV 2023 (its baseline)."
    )
    code = "muzairkhattak/PromptSRC; muzairkhattak/multimodal-prompt-learning"
    licence = "MIT"
    trains = "words and vectors in many layers of both towers"
    variants: ClassVar = {
        "paper": {
            "context_length": 2,
            "visual_tokens": 2,
            "text_share": 1.0,
            "visual_share": 1.0,
            "learning_rate": 0.0035,
            "epochs": 5,
        }
    }
