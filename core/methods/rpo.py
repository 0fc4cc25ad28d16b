"""RPO: learned tokens that read both towers without being read, and stand for image and class themselves.

Paper: Lee, Song, Suh, Choi, Lee, Kim, Read-only Prompt Optimization for Vision-Language Few-shot Learning, ICCV 2023.
Official code: mlvlab/RPO (MIT).

Token i of one tower meets token i of the other alone, and a score is the mean over the pairs. Written as one product: a
feature holds the unit-norm features of all K tokens one after the other, divided by the square root of K, and is K
times as wide as the joint space.

Differences. Underscores in class names are blanks here. Text tokens stand behind the sentence without a position, as in
the code; in a BERT, which is read at its first token, they begin as what enters there, with noise of a quarter of its
length, where the code has 0.1 around the end token of a CLIP. Image tokens begin as the class token with its position,
without it in the code. The whole masked pass is made in training, as in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import LayerTokens, PartlyEncoded
from core.tuning.contract import ImagePath, LoopConfig, Method, Task, augmentation_option
from core.tuning.option import option

NOISE = 0.1
"""Length of the noise around the start, in a causal text tower and in the image tower."""
NOISE_SHARE = 0.25
"""The same in a BERT, of the length of the start."""


@dataclass(frozen=True)
class Config(LoopConfig):
    """Options of RPO."""

    tokens: int = option(24, "Read-only tokens in each tower.", unit="tokens", bounds=(1, 128))
    epochs: int = option(15, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.01, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option("crop_flip")


class RPO(Method):
    """Cross-entropy of the mean scaled cosine of pairs of read-only tokens."""

    title = "RPO"
    summary = "Learns tokens that read the untouched model from inside and answer in its place. Slow."
    paper = (
        "Lee, Song, Suh, Choi, Lee, Kim. Read-only Prompt Optimization for Vision-Language Few-shot Learning. "
        "ICCV 2023."
    )
    code = "mlvlab/RPO"
    licence = "MIT"
    trains = "read-only tokens in both towers"
    answers_from = "tokens of its own"
    needs = frozenset({"template"})
    renames_classes = True
    variants: ClassVar = {"paper": {"tokens": 4}}

    _embeds: Tensor
    _mask: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower, generator = task.backbone, task.generator()
        found = tower.tokenize([config.template.format(name.replace("_", " ")) for name in task.classes])
        self.register_buffer("_embeds", tower.embed_tokens(found.ids).detach(), persistent=False)
        self.register_buffer("_mask", found.mask, persistent=False)
        size = tower.preprocessing.size
        entering = tower.encode_part(torch.zeros(1, 3, size, size), 0).hidden[0]
        self._image_length = len(entering)
        self.image_tokens = _around(entering[0], NOISE, config.tokens, generator)
        start = self._text_start()
        length = NOISE_SHARE * float(start.norm()) if tower.text_kind == "bert" else NOISE
        self.text_tokens = _around(start, length, config.tokens, generator)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Unit-norm features (batch, tokens * joint_width) of the read-only tokens."""
        tower, (tokens, seen) = self.backbone, self._behind(self.image_tokens, self._image_length)
        hidden = tower.image_tokens(pixels, tokens, attention_mask=seen)
        return _joined(tower.project_image(hidden[:, -len(self.image_tokens) :]))

    def class_features(self) -> Tensor:
        """Unit-norm features (classes, tokens * joint_width) of the read-only tokens."""
        tower, (tokens, seen) = self.backbone, self._behind(self.text_tokens, self._embeds.shape[1])
        hidden = tower.text_tokens(self._embeds, self._mask, tokens, attention_mask=seen)
        read = hidden[:, -len(self.text_tokens) :].flatten(0, 1)[:, None]
        # each token is pooled as the only one of its text would be
        pooled = tower.pool_text(read, torch.ones(read.shape[:2], dtype=torch.bool, device=read.device))
        return _joined(tower.project_text(pooled).unflatten(0, (len(hidden), -1)))

    def _behind(self, vectors: Tensor, length: int) -> tuple[LayerTokens, Tensor]:
        """The vectors behind a sequence of so many tokens, and which keys any query may look at: none of theirs."""
        seen = torch.arange(length + len(vectors), device=vectors.device) < length
        return LayerTokens((vectors,), "insert", start=-1), seen[None, None, None]

    def _text_start(self) -> Tensor:
        """What the text tower reads its answer from, as it enters: the end token's word, or a BERT's first token."""
        if self.backbone.text_kind == "causal":
            return self._embeds[0, int(self._mask[0].sum()) - 1]
        entering: list[Tensor] = []

        def keep(layer: int, hidden: Tensor) -> Tensor:
            entering.append(hidden)
            return hidden

        with torch.no_grad():
            self.backbone.text_tokens(self._embeds[:1], self._mask[:1], before_layer=keep)
        return entering[0][0, 0]


def _around(start: Tensor, length: float, count: int, generator: torch.Generator) -> nn.Parameter:
    """`count` vectors, each the start and a step of this length in a random direction."""
    steps = functional.normalize(torch.randn(count, len(start), generator=generator), dim=-1)
    return nn.Parameter(start.detach() + length * steps.to(start.device))


def _joined(features: Tensor) -> Tensor:
    """(batch, tokens, width) as one unit-norm feature (batch, tokens * width) of unit-norm parts."""
    return functional.normalize(features, dim=-1).flatten(1) / features.shape[1] ** 0.5
