"""Biomed-DPT: modality words in the text, constant zero vectors in the image tower, descriptions as teacher.

Paper: Peng et al., Biomed-DPT: Dual Modality Prompt Tuning for Biomedical Vision-Language Models, 2025.
Official code: tongdiedie/BiomedAP, commit f7137a5 (MIT), which holds the trainer; the method's own repository has none.

Differences between paper and code, each an option. The paper inserts learnable zero-initialised vectors; the code
overwrites the first four patches with constant zeros at every layer and learns nothing in the image tower. The default
follows the code: the published numbers come from it, and the tower stays cacheable. Variant "paper" inserts vectors
behind the class token at every layer, so that no patch is lost, and learns them from zero, with gradients through the
whole tower (a norm of a zero vector magnifies its first gradients; the warm-up rate keeps them small). Dropout on the
constant zeros is left out: it changes nothing. The code's class-token position ("middle_ref", which tears names apart)
is an option, the default is "end". Its sentences name a site or a disease for every class of a set ("... affected by
COVID-19 in the lung", of normal lungs too); our template says the kind of picture and the name alone, and takes any
sentence. As in the code, the learned tokens are as many as the words before the name, so that of a word the tokenizer
splits the rest stays fixed. Published loss weights differ by data set; the default is one set for all. We use all
descriptions of a class, the code the first 50.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional

from core.backbones.contract import LayerTokens
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import Batch, ImagePath, PromptConfig, Starter, Task
from core.tuning.losses import anchor_distance, divergence
from core.tuning.option import option
from core.tuning.text_context import POSITIONS, TextContext
from core.tuning.visual_prompt import VisualPrompt


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of Biomed-DPT."""

    position: str = option("end", "Where the class name stands.", choices=POSITIONS, advanced=True)
    zero_vectors: int = option(
        4, "Zero vectors in the image tower; 0 leaves it as it is.", unit="tokens", bounds=(0, 64)
    )
    zero_vector_mode: str = option(
        "replace", "Zero vectors replace the first patches or stand beside them.", choices=("replace", "insert")
    )
    zero_vectors_learned: bool = option(
        False, "Learn these vectors, starting from zero. Slow: images are then read each step."
    )
    anchor_weight: float = option(
        12.5, "Weight of the distance between learned and described classes.", bounds=(0.0, 1000.0)
    )
    distillation_weight: float = option(
        0.5, "Weight of the distance to the scores the descriptions give.", bounds=(0.0, 1000.0)
    )
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0025, "Step size after the first epoch.", bounds=(0.0, 100.0))
    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class BiomedDPT(LearnedWords):
    """Cross-entropy + mean absolute distance to the description anchors + divergence from their scores."""

    title = "Biomed-DPT"
    summary = "Learns context words, guided by the class descriptions; zero vectors in the image tower shift attention."
    paper = "Peng et al. Biomed-DPT: Dual Modality Prompt Tuning for Biomedical Vision-Language Models. 2025."
    code = "tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "context words of the text prompt; vectors in the image tower stay zero unless an option says so"
    needs = frozenset({"template", "descriptions"})
    starter = Starter(2, "With texts")
    variants: ClassVar = {
        "paper": {"zero_vector_mode": "insert", "zero_vectors_learned": True},
        "reference": {"position": "middle_ref"},
    }

    _anchors: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = TextContext(
            task.backbone, task.classes, config.template, n=config.context_length, position=config.position
        )
        if self.image_path(config) == "trained":
            self.visual = VisualPrompt(task.backbone, config.zero_vectors, None, config.zero_vector_mode, None)
        self.register_buffer("_anchors", task.description_anchors(), persistent=False)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        if not config.zero_vectors:
            return "frozen"
        return "trained" if config.zero_vectors_learned else "prompted"

    def visual_tokens(self) -> LayerTokens | None:
        n, tower = self.config.zero_vectors, self.backbone
        if not n:
            return None
        if self.config.zero_vectors_learned:
            return self.visual.tokens()
        return LayerTokens.zeros(n, tower.image_width, tower.image_layers, self.config.zero_vector_mode)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self.image_features(batch), self.class_features()
        logits = self.backbone.logit_scale * images @ texts.T
        # with learned vectors too the teacher's scores are a target and not trained
        teacher = self.backbone.logit_scale * images.detach() @ self._anchors.T
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "anchor": self.config.anchor_weight * anchor_distance(texts, self._anchors),
            "distillation": self.config.distillation_weight * divergence(logits, teacher),
        }
