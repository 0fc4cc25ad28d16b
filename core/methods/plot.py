"""PLOT: several learned prompts a class, matched with the patches of a picture by optimal transport.

Paper: Chen, Yao, Song, Li, Rao, Zhang, PLOT: Prompt Learning with Optimal Transport for Vision-Language Models, ICLR
2023.
Official code: CHENGY12/PLOT (MIT).

Differences. Official PLOT runs on residual towers, whose 49 pooled places are its local features; its authors say that
it does not work on a vision transformer and offer PLOT++ there. Here the set is the transformer's patch tokens after
the last norm and the projection: our extension, no published baseline. The iteration stops for each pair of picture and
class by itself; variant "reference" stops when the mean over the batch is small, so that a score depends a little on
its neighbours. The global term that the code has for one natural image set is an option.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import PartlyEncoded
from core.tuning.context_sets import ContextSets, MatchedConfig, MatchedPrompts
from core.tuning.contract import Task
from core.tuning.optimal_transport import transport_scores
from core.tuning.option import option
from core.tuning.text_context import TextContext


@dataclass(frozen=True)
class Config(MatchedConfig):
    """Options of PLOT."""

    context_length: int | None = option(16, "Learned tokens of each prompt.", unit="tokens", bounds=(1, 64))
    prompts: int = option(4, "Learned prompts a class.", unit="prompts", bounds=(1, 64))
    global_term: bool = option(False, "Add the cosine of the pooled picture with the mean of a class's prompts.")
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(128, "Images per step.", unit="images", bounds=(1, 4096))


class PLOT(MatchedPrompts):
    """Cross-entropy of the similarity under the transport plan between patches and prompts."""

    title = "PLOT"
    summary = "Learns several prompts a class and matches them with the places of a picture, not with its whole alone."
    paper = "Chen et al. PLOT: Prompt Learning with Optimal Transport for Vision-Language Models. ICLR 2023."
    code = "CHENGY12/PLOT"
    licence = "MIT"
    trains = "context words of several text prompts"
    answers_from = "each patch of the picture"
    variants: ClassVar = {"reference": {"stop_together": True}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        drawn = task.generator()
        self.contexts = ContextSets(
            TextContext(
                task.backbone,
                task.classes,
                config.template,
                n=config.context_length,
                random=True,
                generator=drawn,
            )
            for _ in range(config.prompts)
        )

    def steady_layers(self) -> int:
        return self.backbone.image_layers

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """The pooled feature and then the patches', each of unit norm: (batch, 1 + patches, joint_width)."""
        found = self.backbone.encode_image_tokens(pixels)
        patches = math.prod(self.backbone.patch_grid)
        return functional.normalize(torch.cat([found[:, :1], found[:, -patches:]], dim=1), dim=-1)

    def picture_vectors(self, features: Tensor) -> Tensor:
        """The pooled feature."""
        return features[:, 0]

    def logits(self, features: Tensor) -> Tensor:
        texts = self.contexts.raw_features(self.drops_text)
        unit = functional.normalize(texts, dim=-1)
        scores = transport_scores(features[:, 1:], unit, self.config.stop_together)
        if self.config.global_term:
            scores = scores + features[:, 0] @ functional.normalize(texts.mean(dim=0), dim=-1).T
        return self.backbone.logit_scale * scores
