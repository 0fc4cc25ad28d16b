"""ResNet-18: an ordinary network trained on the same images, a control without text and without a large encoder.

Paper: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016.
Official code of variant "reference": MedMNIST/experiments, commit 70b6b3a (Apache-2.0); written from a specification.

Nobody has published a recipe for few images: rates, decay and length are ours, and reproduce no number. Weights come
from a folder of timm's resnet18; without one they start at random, everything learns at the full rate and norms follow
the statistics of the batches. Which of the two it was stands in the run's notes.

Differences. The code of the variant trains on thousands of images at once, enlarges pictures by repeating pixels, takes
them to values from -1 to 1, and keeps the epoch with the best AUROC on validation images. Here pictures are resized and
normalised as for other models of photographs; kept is, of at most 50 epochs that are judged, the first with the most
right validation images, and the last one where there are none.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from core.backbones.contract import PartlyEncoded, Preprocessing
from core.tuning.contract import (
    SCHEDULES,
    ImagePath,
    LoopConfig,
    Task,
    augmentation_option,
    steps_per_epoch,
)
from core.tuning.kept_epoch import KeptEpoch
from core.tuning.option import option
from core.tuning.pixel_reader import PixelReader

ARCHITECTURE = "resnet18"
TRAINED_TRUNK_RATE = 0.1
STEPS = 1000


@dataclass(frozen=True)
class Config(LoopConfig):
    """Options of ResNet-18."""

    encoder: str = option("", "A folder of timm's resnet18 to start from; empty: random weights.")
    epochs: int = option(
        0, f"Passes over the training images; 0: as many as {STEPS} steps make.", unit="epochs", bounds=(0, 5000)
    )
    learning_rate: float = option(0.001, "Step size at the start.", bounds=(0.0, 100.0))
    trunk_rate: float | None = option(
        None,
        "Learning rate of all but the head, as a multiple; empty: 0.1 with weights from a folder, 1 with random ones.",
        bounds=(0.0, 1000.0),
        advanced=True,
    )
    batch_norm: str = option(
        "auto",
        "Norms keep the statistics they came with, or follow those of the batches; auto: frozen with weights from a "
        "folder, updated with random ones.",
        choices=("auto", "frozen", "updated"),
        advanced=True,
    )
    size_px: int = option(224, "Side of the pictures it sees.", unit="px", bounds=(32, 512), advanced=True)
    optimizer: str = option("adamw", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    weight_decay: float = option(0.01, "Weight decay of matrices.", bounds=(0.0, 10.0), advanced=True)
    schedule: str = option("cosine_by_step", "Course of the learning rate.", choices=SCHEDULES, advanced=True)
    augmentation: str = augmentation_option("mild")

    def settled(self, images: int, classes: int) -> Self:
        if self.updates is not None or self.epochs:
            return super().settled(images, classes)
        return replace(self, epochs=math.ceil(STEPS / steps_per_epoch(images, self.batch_size, self.drop_last)))


class ResNet18(KeptEpoch):
    """Cross-entropy of a linear head, which starts at zero, on the pooled feature; everything is trained."""

    title = "ResNet-18"
    summary = "Trains an ordinary image network on the same images: what is reached without any large model."
    paper = "He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. CVPR 2016."
    code = "MedMNIST/experiments, commit 70b6b3a (variant reference)"
    licence = "Apache-2.0"
    trains = "all weights of a small image network"
    starts_from = ARCHITECTURE
    variants: ClassVar = {
        "reference": {
            "epochs": 100,
            "batch_size": 128,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "schedule": "tenths",
            "augmentation": "center",
            "trunk_rate": 1.0,
            "batch_norm": "updated",
        }
    }

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        encoder, device = task.encoder, task.backbone.device
        with task.initial_values():
            net: Any = timm.create_model(ARCHITECTURE, num_classes=len(task.classes))
        for value in net.fc.parameters():
            nn.init.zeros_(value)
        if encoder:
            net.load_state_dict(encoder.state(), strict=False)
        self.net: Any = net.to(device)
        recipe = encoder.preprocessing if encoder else None
        self.register_buffer("mean", torch.tensor(recipe.mean if recipe else IMAGENET_DEFAULT_MEAN, device=device))
        self.register_buffer("std", torch.tensor(recipe.std if recipe else IMAGENET_DEFAULT_STD, device=device))
        own = Preprocessing(config.size_px, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
        self._reader = PixelReader(own, device, self.net.num_features)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        if config.encoder:
            return [f"Starts from the weights in '{config.encoder}'; backbone and texts play no part."]
        return [
            "Starts from random weights, since no folder of a trained ResNet-18 was named ('encoder'); backbone and "
            "texts play no part."
        ]

    @property
    def reader(self) -> PixelReader:
        return self._reader

    def steady_layers(self) -> None:
        """Pixels are kept."""

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Pooled features (batch, 512) of pixels, normalised anew where the weights came with another recipe."""
        assert isinstance(pixels, Tensor), "steady_layers asks for pixels"
        own = (self._reader.preprocessing.levels(pixels) - self.mean[:, None, None]) / self.std[:, None, None]
        found: Tensor = self.net.forward_head(self.net.forward_features(own), pre_logits=True)
        return found

    def logits(self, features: Tensor) -> Tensor:
        scores: Tensor = self.net.fc(features)
        return scores

    def step_passes(self) -> AbstractContextManager[None]:
        # no step passes the backbone
        return nullcontext()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.config.batch_norm == "frozen" or (self.config.batch_norm == "auto" and self.config.encoder):
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        rate = self.config.trunk_rate
        if rate is None:
            rate = TRAINED_TRUNK_RATE if self.config.encoder else 1.0
        head = list(self.net.fc.parameters())
        trunk = [p for p in self.net.parameters() if all(p is not own for own in head)]
        groups = [(head, 1.0), (trunk, rate)]
        return [
            {"params": [p for p in own if (p.ndim > 1) == drawn], "multiplier": multiplier}
            | ({} if drawn else {"weight_decay": 0.0})
            for own, multiplier in groups
            for drawn in (True, False)
        ]
