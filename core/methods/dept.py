"""DePT: another prompt method with a linear classifier beside it, trained on image and text features alike.

Paper: Zhang, Wu, Gao, Shen, Song, DePT: Decoupled Prompt Tuning, CVPR 2024.
Official code: Koorye/DePT (GPL-2.0); written from the specification.

The classifier reads features after a scale and a shift of each channel, one pair for images and one for texts. Names
that were trained on are answered by both, other names by the method below alone.

Differences. The code builds its classifier for the base half of a data set only; here it is always there. It reads
features as long as the towers make them; here they have unit length times "feature_length", since features are kept at
unit length; 10 is about the length of CLIP's. The classifier starts at zero, so that the order of classes has no say. A
base of PromptSRC is not in the code, though it is what others compare with: its three distances are added as they are,
and its average over epochs takes in the classifier. With a base of KgCoOp the published weight of its distance is 2.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import Backbone, LayerTokens, PartlyEncoded
from core.tuning.averaging import Averaged
from core.tuning.contract import Batch, ImagePath, Method, PromptConfig, Task, augmentation_option
from core.tuning.option import option
from core.tuning.registry import get_method

BASES: dict[str, dict[str, Any]] = {"coop": {}, "kgcoop": {"knowledge_weight": 2.0}, "promptsrc": {}}
"""The methods below, with the options that DePT sets for them."""


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of DePT."""

    base: str = option("coop", "The prompt method below, with its own options at their defaults.", choices=(*BASES,))
    random_start: bool = option(False, "Start from random vectors instead of the template's words, where base is coop.")
    head_share: float = option(0.7, "Share of the classifier in loss and scores.", bounds=(0.0, 1.0))
    head_rate: float = option(
        6.5, "Learning rate of the classifier as a multiple of the prompts'.", bounds=(0.0, 1000.0), advanced=True
    )
    feature_length: float = option(
        10.0, "Length of the features that the classifier reads.", bounds=(0.01, 1000.0), advanced=True
    )
    epochs: int = option(10, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0035, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option("crop_flip")

    def of_base(self) -> Any:
        """The options of the method below: its defaults, but for those that it shares with this one."""
        kind = get_method(self.base).Config
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**BASES[self.base] | {name: value for name, value in self.as_dict().items() if name in names})


class DePT(Averaged):
    """(1 - share) x the base's cross-entropy + share x the classifier's + the base's other terms."""

    title = "DePT"
    summary = "Puts a linear classifier beside CoOp, KgCoOp or PromptSRC, so that words need not carry all of a task."
    paper = "Zhang, Wu, Gao, Shen, Song. DePT: Decoupled Prompt Tuning. CVPR 2024."
    code = "Koorye/DePT"
    licence = "GPL-2.0"
    trains = "what the base learns, and a linear classifier on scaled features"
    needs = frozenset({"template"})
    learns_words = True
    renames_classes = True
    variants: ClassVar = {"reference": {"context_length": 16, "random_start": True}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.base: Method = get_method(config.base)(config.of_base(), task)
        self.head = Head(task.backbone.joint_width, len(task.classes)).to(task.backbone.device)
        self._head_classes = task.classes

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return get_method(config.base).image_path(config.of_base())

    def visual_tokens(self) -> LayerTokens | None:
        return self.base.visual_tokens()

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        return self.base.encode_images(pixels)

    def over(self, backbone: Backbone) -> Self:
        other = super().over(backbone)
        other._modules = self._modules | {"base": self.base.over(backbone)}
        return other

    def picture_vectors(self, features: Tensor) -> Tensor:
        return self.base.picture_vectors(features)

    def class_features(self) -> Tensor:
        return self.base.class_features()

    def logits(self, features: Tensor) -> Tensor:
        """Scores of both for names that were trained on; of the base alone for any others."""
        plain = self.base.logits(features)
        if self._head_classes != self.task.classes:
            return plain
        return fused(plain, self.head.of_images(self.config.feature_length * features), self.config.head_share)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self.image_features(batch), self.class_features()
        with _known_texts(self.base, texts):
            terms = self.base.loss_terms(dataclasses.replace(batch, features=images))
        share, length = self.config.head_share, self.config.feature_length
        found = torch.cat([self.head.of_texts(length * texts[batch.labels]), self.head.of_images(length * images)])
        return terms | {
            "cross_entropy": (1 - share) * terms["cross_entropy"],
            "head": share * functional.cross_entropy(found, batch.labels.repeat(2)),
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = self.base.parameter_groups()
        return [*groups, {"params": list(self.head.parameters()), "multiplier": self.config.head_rate}]

    def epoch_weights(self) -> Tensor | None:
        return self.base.epoch_weights() if isinstance(self.base, Averaged) else None

    def can_rename_classes(self) -> bool:
        return self.base.can_rename_classes()

    def take_learned_from(self, other: Self) -> None:
        self.base.take_learned_from(other.base)
        # the classifier keeps the names it was trained on, for whoever asks about them again
        self.head, self._head_classes = copy.deepcopy(other.head), other._head_classes


class Head(nn.Module):
    """A linear classifier of features (..., width) after a scale and a shift of each channel, for either side."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.image_scale, self.text_scale = (nn.Parameter(torch.ones(width)) for _ in range(2))
        self.image_shift, self.text_shift = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.linear = nn.Linear(width, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def of_images(self, features: Tensor) -> Tensor:
        """Scores (..., classes) of image features."""
        return self.linear(self.image_scale * features + self.image_shift)

    def of_texts(self, features: Tensor) -> Tensor:
        """Scores (..., classes) of text features."""
        return self.linear(self.text_scale * features + self.text_shift)


def fused(plain: Tensor, head: Tensor, share: float) -> Tensor:
    """(1 - share) x scaled cosines + share x the classifier's scores, which are not scaled. Source: DePT."""
    return (1 - share) * plain + share * head


@contextmanager
def _known_texts(base: Method, texts: Tensor) -> Iterator[None]:
    """Inside, the base takes these class features instead of passing the text tower once more."""
    base.class_features = lambda: texts  # type: ignore[method-assign]
    try:
        yield
    finally:
        del base.class_features
