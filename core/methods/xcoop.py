"""XCoOp: contexts of each class's own that must be recognised among clinical sentences, as texts and token by token.

Paper: Bie, Luo, Chen, Chen, XCoOp: Explainable Prompt Learning for Computer-Aided Diagnosis via Concept-guided Context
Optimization, MICCAI 2024.
Official code: the authors' repository, which bears no licence file; the method is written from its specification.

Differences. The code compares patches of all images of a batch with the texts, by a mistake in their order, so that a
prediction depends on its neighbours; here each image has its own patches. It reads each image twice, to the same end;
here once. Its prompts of a class start equal and get equal gradients, so that four are one at four times the cost
("copy_start": jitter makes them differ). The soft-max of both text terms runs over the learned texts, as in the code
("softmax_over"). The token-level term sums over all places, which is published for CLIP; in a BERT it is their mean
over places that are no padding ("token_reduction"). The clinical sentence of a class is the first of its descriptions.
The code's choice of an epoch by test images is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import PartlyEncoded
from core.tuning.contract import Batch, Task
from core.tuning.image_norms import NormsConfig, TunedNorms
from core.tuning.losses import recognition, softmax_over_option, text_to_text
from core.tuning.option import option
from core.tuning.text_context import RANDOM_STD, TextContext

NOISE, NOISE_CHANCE = 0.05, 0.5
"""Added to every entry of a copy of the clinical features in half of the steps."""


@dataclass(frozen=True)
class Config(NormsConfig):
    """Options of XCoOp."""

    prompts: int = option(4, "Prompts of each class.", bounds=(1, 64))
    copy_start: str = option(
        "same",
        "Whether a class's prompts start equal, and stay so, or each a little off (jitter).",
        choices=("same", "jitter"),
    )
    prompt_weight: float = option(5.0, "Weight of recognising texts among clinical texts.", bounds=(0.0, 1000.0))
    token_weight: float = option(5.0, "Weight of the same token by token.", bounds=(0.0, 1000.0))
    local_weight: float = option(0.01, "Weight of the patches in the scores.", bounds=(0.0, 10.0), advanced=True)
    softmax_over: str = softmax_over_option()
    token_reduction: str = option(
        "auto",
        "Token by token: the sum over all places, or the mean over those that are no padding; auto: mean in a BERT.",
        choices=("auto", "sum", "mean"),
        advanced=True,
    )
    noise: bool = option(True, "Noise on the clinical texts' features in half of the steps.", advanced=True)
    epochs: int = option(120, "Passes over the training images.", unit="epochs", bounds=(1, 5000))


class XCoOp(TunedNorms):
    """Cross-entropy of images and patches + two terms by which learned texts are recognised among clinical ones."""

    title = "XCoOp"
    summary = "Learns words for each class that stay close to a clinical sentence about it, word by word. Slow."
    paper = (
        "Bie, Luo, Chen, Chen. XCoOp: Explainable Prompt Learning for Computer-Aided Diagnosis via Concept-guided "
        "Context Optimization. MICCAI 2024."
    )
    licence = "none (no licence file)"
    trains = "context words of each class and the norms of the image tower"
    needs = frozenset({"template", "descriptions"})
    renames_classes = False
    variants: ClassVar = {"paper": {"softmax_over": "written"}}

    _clinical: Tensor
    _plain_rows: Tensor
    _clinical_rows: Tensor
    _rows: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower, classes = task.backbone, len(task.classes)
        self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
        start = self.context.vectors.detach().expand(config.prompts, classes, -1, -1).clone()
        if config.copy_start == "jitter":
            # equal for all classes, so that their order has no say
            off = torch.randn(config.prompts, 1, *start.shape[2:], generator=task.generator())
            start += RANDOM_STD * off.to(start.device)
        self.context.vectors = nn.Parameter(start)
        clinical = [task.descriptions.sentences[name][0] for name in task.classes]
        self.register_buffer("_clinical", task.text_features(clinical), persistent=False)
        # tokenised together, so that place by place they can be compared
        tokens = tower.tokenize([*(config.template.format(name) for name in task.classes), *clinical])
        rows = tower.embed_tokens(tokens.ids).detach()
        self.register_buffer("_plain_rows", rows[:classes], persistent=False)
        self.register_buffer("_clinical_rows", functional.normalize(rows[classes:], dim=-1), persistent=False)
        real = tokens.mask[:classes, None] | tokens.mask[None, classes:]
        mean = config.token_reduction == "mean" or (config.token_reduction == "auto" and tower.text_kind == "bert")
        self.register_buffer("_rows", real / real.sum(dim=-1, keepdim=True) if mean else real * 0 + 1.0, False)

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Unit-norm features of the image + weight x mean of those of its patches: not quite of unit length."""
        tower = self.backbone
        hidden = tower.image_tokens(pixels)
        whole = functional.normalize(tower.project_image(tower.pool_image(hidden)), dim=-1)
        patches = hidden[:, -tower.patch_grid[0] * tower.patch_grid[1] :]
        local = functional.normalize(tower.project_image(patches), dim=-1).mean(dim=1)
        return whole + self.config.local_weight * local

    def class_features(self) -> Tensor:
        """Mean of the unit-norm features of a class's prompts (classes, joint_width): shorter where they differ."""
        return self.context.features(dropout=self.drops_text).mean(dim=0)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        raw, scale = self.context.raw_features(dropout=self.drops_text), self.backbone.logit_scale
        texts = functional.normalize(raw, dim=-1).mean(dim=0)
        logits = scale * self.image_features(batch) @ texts.T
        learned = functional.normalize(raw.mean(dim=0), dim=-1)
        known = text_to_text(learned, self._noisy()[None], scale, self.config.softmax_over)
        tokens = recognition(scale * self.token_agreement(), self.config.softmax_over)
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "prompt": self.config.prompt_weight * known,
            "token": self.config.token_weight * tokens,
        }

    def token_agreement(self) -> Tensor:
        """Cosines of learned (rows) and clinical (columns) prompts, place by place, summed or averaged."""
        n, words = self.context.n, self.context.vectors
        plain = self._plain_rows.expand(len(words), -1, -1, -1)
        rows = torch.cat([plain[:, :, :1], words, plain[:, :, 1 + n :]], dim=2)
        cosines = torch.einsum("ild,jld->ijl", functional.normalize(rows, dim=-1).mean(dim=0), self._clinical_rows)
        return (self._rows * cosines).sum(dim=-1)

    def _noisy(self) -> Tensor:
        """The clinical features (classes, joint_width): in half of the steps the mean of noisy copies."""
        if not self.config.noise or torch.rand(()).item() >= NOISE_CHANCE:
            return self._clinical
        noise = torch.randn(self.config.prompts, *self._clinical.shape).mean(dim=0)
        return self._clinical + NOISE * noise.to(self._clinical.device)
