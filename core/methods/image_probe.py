"""Image-encoder probe: logistic regression on the features of any image encoder, a control without text.

Paper: Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024, which measures encoders so.
Official code: facebookresearch/dinov2, commit b8931f7 (Apache-2.0); written from a specification.

Differences. The code compares 45 strengths of the penalty on a random tenth of the training images, then fits on all of
them; here the strength is searched as in the linear probe, on validation images or inside the shots. Features have unit
length by default, so that only their source differs from the linear probe's. The encoder reads pictures by its own
recipe, never by the backbone's; no text is encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from core.backbones.contract import PartlyEncoded
from core.backbones.image_encoder import TOKENS, EncoderReader
from core.tuning.contract import Task
from core.tuning.features import frozen_pass
from core.tuning.logistic import LogisticConfig, LogisticHead
from core.tuning.option import option
from core.tuning.second_encoder import check_same_encoder, checksum_tensor

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

SMALL = 1e-6


@dataclass(frozen=True)
class Config(LogisticConfig):
    """Options of the image-encoder probe."""

    encoder: str = option(
        "", "The image encoder: a folder in timm's or open_clip's format, or a backbone's name, such as embedded."
    )
    tokens: str = option(
        "pooled",
        "What is read of a picture: the model's own pooled feature, or class token and mean patch token.",
        choices=TOKENS,
    )
    scale: str = option(
        "unit",
        "Features of unit length, each value centred and divided by its spread over the training images, or as they "
        "are.",
        choices=("unit", "standard", "raw"),
        advanced=True,
    )


class ImageProbe(LogisticHead):
    """One weight vector and bias per class on what a frozen encoder without text sees."""

    title = "Image-encoder probe"
    summary = "Draws straight borders in the features of any image model, without text: how far do pictures alone go?"
    paper = "Oquab et al. DINOv2: Learning Robust Visual Features without Supervision. TMLR 2024."
    code = "facebookresearch/dinov2, commit b8931f7"
    licence = "Apache-2.0"
    trains = "a linear classifier on another encoder's features"
    needs = frozenset({"encoder"})
    variants: ClassVar = {"reference": {"scale": "raw", "tokens": "cls_mean"}}

    shift: Tensor
    spread: Tensor
    encoder_checksum: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        assert task.encoder is not None, "a task without a needed encoder is refused before"
        self._reader = EncoderReader(task.encoder, config.tokens, config.scale == "unit")
        super().__init__(config, task, self._reader.joint_width)
        self.register_buffer("shift", torch.zeros(self._reader.joint_width, device=task.backbone.device))
        self.register_buffer("spread", torch.ones(self._reader.joint_width, device=task.backbone.device))
        self.register_buffer("encoder_checksum", checksum_tensor(task.encoder.checksum, task.backbone.device))

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        return [
            f"Pictures are read by the image encoder '{config.encoder}' alone; the backbone and texts play no part."
        ]

    @property
    def reader(self) -> EncoderReader:
        return self._reader

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """What the encoder makes of its own model input: (batch, width)."""
        assert isinstance(pixels, Tensor), "pictures come whole"
        return frozen_pass(self._reader, pixels)

    def support(self, data: TrainingData) -> Tensor:
        found = data.train_features()
        if self.config.scale == "standard":
            self.shift.copy_(found.mean(dim=0))
            self.spread.copy_(found.std(dim=0, correction=0) + SMALL)
        return found

    def scaled(self, features: Tensor) -> Tensor:
        return (features - self.shift) / self.spread

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        check_same_encoder(state, self.encoder_checksum, "image encoder")
        super().load_learned_state(state)
