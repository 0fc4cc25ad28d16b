"""BiomedAP: Biomed-DPT whose zero vectors are fused with the learned words at two layers of the image tower.

Paper: none known to us; the method is described in its repository.
Official code: tongdiedie/BiomedAP, commit f7137a5 (MIT).

Differences. As in the code: the visual vectors are zeros before each fusion, so that the fused ones are equal to each
other and for all images ("visual_start" learned makes them differ); the fused vectors act on one layer each, since the
zeros are written anew before the next ("carry_fused" lets them live on); the fused words serve only the alignment term;
the loss weights are fixed, though an adaptive balance is announced; the teacher's scores are not detached from the
image tower ("detach_teacher" does that). All descriptions are used, where the code takes 40 or 50. The published test
strategy can read labels; here no label reaches a prediction: the class-mean context is used. The class name stands at
the end; in the published order ("middle_ref") the context holds a piece of the true class's name while training.
Published weights differ by data set; the default is one set for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import LayerTokens, PartlyEncoded
from core.errors import InvalidOption
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import Batch, ImagePath, PromptConfig, Task
from core.tuning.fusion import Fusion
from core.tuning.losses import anchor_distance, divergence
from core.tuning.option import option
from core.tuning.text_context import POSITIONS, TextContext
from core.tuning.visual_prompt import VisualPrompt


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of BiomedAP."""

    position: str = option("end", "Where the class name stands.", choices=POSITIONS, advanced=True)
    zero_vectors: int = option(4, "Vectors in the image tower.", unit="tokens", bounds=(1, 64))
    visual_start: str = option(
        "zeros",
        "What these vectors are before fusion: zeros, or learned for each layer.",
        choices=("zeros", "learned"),
        advanced=True,
    )
    carry_fused: bool = option(
        False, "Let fused vectors live on in later layers instead of setting them anew at each.", advanced=True
    )
    fusion_layers: str = option(
        "", "Layers, counted from 0, where words and vectors are fused; empty: 5,8 of 12, in proportion.", advanced=True
    )
    plain_template: str = option(
        "{}", "Plain text per class that the learned prompts are held near.", advanced=True, slots=(0, 1)
    )
    anchor_weight: float = option(12.5, "Weight of the distance to the descriptions.", bounds=(0.0, 1000.0))
    plain_weight: float = option(1.0, "Weight of the distance to the plain texts.", bounds=(0.0, 1000.0))
    distillation_weight: float = option(
        0.5, "Weight of the distance to the scores the descriptions give.", bounds=(0.0, 1000.0)
    )
    alignment_weight: float = option(
        0.1, "Weight of the agreement of words before and after fusion.", bounds=(0.0, 1000.0)
    )
    detach_teacher: bool = option(False, "Keep the teacher's scores out of the gradient.", advanced=True)
    fusion_dropout: bool = option(True, "Dropout of 0.1 inside the fusion while training.", advanced=True)
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0025, "Step size after the first epoch.", bounds=(0.0, 100.0))
    text_dropout: bool = option(True, "The text tower's own dropout is active while training.", advanced=True)


class BiomedAP(LearnedWords):
    """Five terms: cross-entropy, distance to descriptions and to plain texts, divergence, and alignment."""

    title = "BiomedAP"
    summary = "Like Biomed-DPT, and lets the learned words and the image tower look at each other. Large and slow."
    paper = "None known; described in the repository tongdiedie/BiomedAP."
    code = "tongdiedie/BiomedAP, commit f7137a5"
    licence = "MIT"
    trains = "context words and fusion modules inside the image tower"
    needs = frozenset({"template", "descriptions"})
    variants: ClassVar = {"reference": {"position": "middle_ref"}}

    _anchors: Tensor
    _plain: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        self.context = TextContext(
            tower, task.classes, config.template, n=config.context_length, position=config.position
        )
        layers = _layers(config.fusion_layers, tower.image_layers)
        with task.initial_values():
            modules = {str(layer): Fusion(tower.image_width, tower.text_width) for layer in layers}
        self.fusion_modules = nn.ModuleDict(modules).to(tower.device)
        # from the first fusion on, carried vectors are left to the tower
        self._depth = layers[0] + 1 if config.carry_fused else tower.image_layers
        if config.visual_start == "learned":
            self.visual = VisualPrompt(tower, config.zero_vectors, self._depth, "replace", task.generator())
        self.register_buffer("_anchors", task.description_anchors(), persistent=False)
        self.register_buffer("_plain", task.template_features(config.plain_template), persistent=False)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def visual_tokens(self) -> LayerTokens:
        if self.config.visual_start == "learned":
            return self.visual.tokens()
        return LayerTokens.zeros(self.config.zero_vectors, self.backbone.image_width, self._depth, "replace")

    def steady_layers(self) -> int:
        # a learned start reaches the first layer; constant zeros leave all before the first fusion alone
        return 0 if self.config.visual_start == "learned" else min(int(layer) for layer in self.fusion_modules)

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        words = self._class_words().mean(dim=0, keepdim=True)
        return self._encode(pixels, words.expand(len(pixels), -1, -1), lambda _: None)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.pixels is not None, "the image tower is trained, so a batch carries pixels"
        words = self._class_words()[batch.labels]
        alignments: list[Tensor] = []
        images = self._encode(batch.pixels, words, lambda fused: alignments.append(_disagreement(fused, words)))
        texts, scale = self.class_features(), self.backbone.logit_scale
        logits, teacher = scale * images @ texts.T, scale * images @ self._anchors.T
        if self.config.detach_teacher:
            teacher = teacher.detach()
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "anchor": self.config.anchor_weight * anchor_distance(texts, self._anchors),
            "distillation": self.config.distillation_weight * divergence(logits, teacher),
            "plain": self.config.plain_weight * anchor_distance(texts, self._plain),
            "alignment": self.config.alignment_weight * torch.stack(alignments).mean(),
        }

    def _class_words(self) -> Tensor:
        """Positions 1..n of each class's assembled prompt: (classes, n, text_width)."""
        return self.context.prompts()[0][:, 1 : 1 + self.context.n]

    def _encode(self, pixels: Tensor | PartlyEncoded, words: Tensor, saw: Callable[[Tensor], None]) -> Tensor:
        """Unit-norm features; `saw` gets the fused words of each fusion layer."""
        end = 1 + self.config.zero_vectors

        def fuse(layer: int, hidden: Tensor) -> Tensor:
            if str(layer) not in self.fusion_modules:
                return hidden
            module = self.fusion_modules[str(layer)]
            vectors, fused = module(hidden[:, 1:end], words, self.training and self.config.fusion_dropout)
            saw(fused)
            return torch.cat([hidden[:, :1], vectors, hidden[:, end:]], dim=1)

        found = self.backbone.encode_images(pixels, self.visual_tokens(), fuse)
        return functional.normalize(found, dim=-1)


def _disagreement(fused: Tensor, words: Tensor) -> Tensor:
    """1 - mean cosine of the mean word after and before fusion: a scalar in [0, 2]."""
    return 1 - functional.cosine_similarity(fused.mean(dim=1), words.mean(dim=1), dim=-1).mean()


def _layers(text: str, layers: int) -> list[int]:
    """The layers named in an option such as "5,8"; without one the published 5 and 8 of 12, in proportion."""
    if not text.strip():
        return sorted({5 * layers // 12, 8 * layers // 12})
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [-1]
    if not found or found[0] < 0 or found[-1] >= layers:
        raise InvalidOption(
            f"'fusion_layers' is a list of layers from 0 to {layers - 1}", f"found '{text}'", "For example 5,8."
        )
    return found
