"""What explanations ask of a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from core.backbones.contract import Backbone, LayerTokens
from core.errors import Unavailable


class ExplainedClassifier(Protocol):
    """The part of a trained model that explanations use; `core.tuning` has the real one."""

    @property
    def backbone(self) -> Backbone:
        """The frozen dual encoder below."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names in label order."""

    @property
    def method(self) -> Any:
        """The trained method; its `logits` turns unit-norm image features into scores."""

    @property
    def card(self) -> dict[str, Any]:
        """What is known of it; where it was measured, `metrics`, `intervals` and `confusion`."""

    @property
    def temperature(self) -> float:
        """What logits are divided by."""

    def probabilities(self, images: Sequence[Image.Image]) -> Tensor:
        """Calibrated probabilities (images, classes) of RGB pictures, on the CPU."""

    def probabilities_from_pixels(self, pixels: Tensor) -> Tensor:
        """The same of model input (batch, 3, size, size)."""

    def scores_from_pixels(self, pixels: Tensor) -> Tensor:
        """Uncalibrated scores (batch, classes) as classification makes them, on the CPU, without gradient."""

    def logits_from_pixels(self, pixels: Tensor) -> Tensor:
        """(batch, 3, size, size) to (batch, classes), differentiable in the pixels."""

    def visual_tokens(self) -> LayerTokens | None:
        """Vectors the method puts into the image tower."""


def check_reads_backbone(classifier: ExplainedClassifier) -> None:
    """Raises Unavailable for a method whose answer is not read from its backbone's image tower, at the class token."""
    method = classifier.method
    if getattr(method, "reader", classifier.backbone) is not classifier.backbone:
        raise Unavailable(
            "A map needs pictures that are read by the backbone's image tower",
            f"{method.title} reads them with an encoder of its own",
            "Explain a model of another method.",
        )
    if elsewhere := getattr(method, "answers_from", ""):
        raise Unavailable(
            "A map follows an answer to the class token of one pass",
            f"{method.title} takes its answer from {elsewhere}",
            "Explain a model of another method.",
        )


def pixels_of(classifier: ExplainedClassifier, image: Image.Image) -> Tensor:
    """One picture as model input (1, 3, size, size) on the model's device."""
    return classifier.backbone.preprocess(image.convert("RGB"))[None].to(classifier.backbone.device)


def probabilities_of(classifier: ExplainedClassifier, logits: Tensor) -> Tensor:
    """Calibrated probabilities (batch, classes), float32 on the CPU."""
    return torch.softmax(logits.float() / float(classifier.temperature), dim=-1).cpu()
