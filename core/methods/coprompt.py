"""CoPrompt: MaPLe in all layers with two small networks on top, held near the frozen model's view of something else.

Paper: Roy, Etemad, Consistency-guided Prompt Learning for Vision-Language Models, ICLR 2024.
Official code: ShuvenduRoy/CoPrompt (MIT).

Learned texts are held near a sentence about their class, learned image features near the frozen features of a second
view of the same picture. As in the code, one sentence is drawn a step, the same place in the list for all classes.

Differences. The published weight of both terms differs by data set (0.1 to 8) and none is published for medical images;
the default is 2, variant "reference" has the code's 8. The sentences are the descriptions of the classes, as many as
the class with the fewest has; no text of the code is used. Both views are squeezed into the square and changed by
RandAugment, as published; "randaugment_gentle" leaves out what gives grey values another meaning (inverting,
equalising, solarising and others). The code stops at one of these operations with a current NumPy. Depth and number of
words differ by data set there (9 or 12, 2 or 4); the default is 4 words in all layers. Deeper words start as `ivlp`
says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import PartlyEncoded
from core.tuning.contract import Batch, Task, augmentation_option
from core.tuning.coupled_prompts import CoupledConfig, CoupledPrompts
from core.tuning.losses import knowledge_distance
from core.tuning.option import option
from core.tuning.views import AGAIN

NARROWER = 4
"""The inner layer of an adapter has the joint width divided by this."""


@dataclass(frozen=True)
class Config(CoupledConfig):
    """Options of CoPrompt."""

    depth: int | None = option(
        None, "Layers of both towers that get prompts; empty: all of the smaller tower.", unit="layers", bounds=(1, 64)
    )
    visual_mode: str = option(
        "append",
        "The vectors replace the first patches or are appended behind the last.",
        choices=("replace", "append"),
    )
    consistency_weight: float = option(
        2.0, "Weight of the distances to the sentences and to the other view.", bounds=(0.0, 1000.0)
    )
    image_share: float = option(0.1, "Share of the adapter in the image features.", bounds=(0.0, 1.0), advanced=True)
    text_share: float = option(0.2, "Share of the adapter in the class features.", bounds=(0.0, 1.0), advanced=True)
    epochs: int = option(8, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0035, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option(
        "randaugment",
        {
            "randaugment": "the whole picture after two of 16 changes",
            "randaugment_gentle": "the same of the 10 changes that leave grey values their meaning",
        },
    )


class CoPrompt(CoupledPrompts):
    """Cross-entropy + weight x (1 - cosine) of texts and a sentence, and of images and their other view."""

    title = "CoPrompt"
    summary = (
        "Like MaPLe, but what it says of classes and images must agree with descriptions and with another view of the "
        "image. Slow."
    )
    paper = "Roy, Etemad. Consistency-guided Prompt Learning for Vision-Language Models. ICLR 2024."
    code = "ShuvenduRoy/CoPrompt"
    licence = "MIT"
    trains = "words, maps from them into the image tower, and a small network on either side's features"
    needs = frozenset({"template", "descriptions"})
    extra_views: ClassVar = {"second": AGAIN}
    variants: ClassVar = {"reference": {"consistency_weight": 8.0}}
    published_share = 1.0
    deep_start = "auto"

    _descriptions: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        with task.initial_values():
            adapters = [_adapter(task.backbone.joint_width) for _ in range(2)]
        self.image_adapter, self.text_adapter = (adapter.to(task.backbone.device) for adapter in adapters)
        self.register_buffer("_descriptions", task.description_bank(), persistent=False)

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        found = self.backbone.encode_images(pixels, self.visual_tokens())
        return _mixed(found, self.image_adapter, self.config.image_share)

    def class_features(self) -> Tensor:
        found = self.context.raw_features(dropout=self.drops_text, tokens=self.deep.tokens())
        return _mixed(found, self.text_adapter, self.config.text_share)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self.image_features(batch), self.class_features()
        logits = self.backbone.logit_scale * images @ texts.T
        # one number a step, from the generator that is seeded for each epoch
        drawn = self._descriptions[:, int(torch.randint(self._descriptions.shape[1], ()))]
        distance = knowledge_distance(texts, drawn) + knowledge_distance(images, self._other_view(batch))
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "consistency": self.config.consistency_weight * distance,
        }

    @torch.no_grad()
    def _other_view(self, batch: Batch) -> Tensor:
        """Unit-norm features of the second view in the untouched tower."""
        return functional.normalize(self.backbone.encode_images(batch.views["second"]), dim=-1)


def _adapter(width: int) -> nn.Sequential:
    inner = width // NARROWER
    return nn.Sequential(nn.Linear(width, inner, bias=False), nn.ReLU(), nn.Linear(inner, width, bias=False), nn.ReLU())


def _mixed(features: Tensor, adapter: nn.Module, share: float) -> Tensor:
    """Unit-norm features (..., width): a share of the adapter's output, the rest as they are."""
    return functional.normalize(share * adapter(features) + (1 - share) * features, dim=-1)
