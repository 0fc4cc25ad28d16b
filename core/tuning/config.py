"""Options of methods: what all have, what those trained by steps have, and what those that learn words have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from core.tuning.option import Options, option

SCHEDULES = ("cosine", "cosine_by_step", "cosine_swing", "tenths", "constant")
EPOCH_RULES = ("updates", "epochs_by_shots")
"""Options from which the number of epochs follows; a person's own number of epochs puts a variant's rule aside."""
ImagePath = Literal["frozen", "prompted", "trained"]


def steps_per_epoch(images: int, batch_size: int, drop_last: bool = True) -> int:
    """Full batches, or one with everything where there is less than a batch; drop_last: False adds the rest as one."""
    return max(1, images // batch_size) if drop_last else math.ceil(images / batch_size)


def image_passes(run: Mapping[str, Any]) -> float | None:
    """Images that went through a training, each as often as it did; None where that is not known.

    run: a record with `steps`, `n_train` and `options`. A batch is never more than the images there are, and an epoch
    without `drop_last` ends with the rest.
    """
    options = run.get("options") or {}
    steps, images, batch = run.get("steps"), run.get("n_train"), options.get("batch_size")
    if not steps or not images or not batch:
        return None
    drops = bool(options.get("drop_last", True))
    in_epoch = steps_per_epoch(images, batch, drops)
    return steps / in_epoch * (min(images, in_epoch * batch) if drops else images)


def augmentation_option(default: str, further: Mapping[str, str] | None = None) -> Any:
    """The option of how the views of a training image are drawn. further: kinds that others do not have, explained."""
    told = "".join(f" {name}: {what}." for name, what in (further or {}).items())
    return option(
        default,
        "How views are drawn: crop (8 to 100 % of the area), crop_flip, mild (50 to 100 %, flip) or center (none)."
        + told,
        choices=("crop", "crop_flip", "mild", "center", *(further or {})),
    )


@dataclass(frozen=True)
class MethodConfig(Options):
    """Options every method has."""

    template: str = option(
        "a photo of a {}.", "Sentence whose {} takes the class name, where a method needs one per class.", slots=(1, 1)
    )

    def settled(self, images: int, classes: int) -> Self:
        """The options as a run with so many training images and classes uses them: what follows from them filled in."""
        return self


@dataclass(frozen=True)
class LoopConfig(MethodConfig):
    """Options of methods that are trained by steps. Defaults are those most reference implementations share."""

    epochs: int = option(100, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(32, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.002, "Step size after the first epoch.", bounds=(0.0, 100.0))
    updates: int | None = option(
        None,
        "Update steps in all, rounded up to whole epochs: where given, the epochs follow from it, so that methods with "
        "other batch sizes can be trained equally long. Empty: as many as the epochs make.",
        unit="steps",
        bounds=(1, 1_000_000),
        advanced=True,
    )
    drop_last: bool = option(True, "Images that fill no batch are left out of an epoch, others in each.", advanced=True)
    optimizer: str = option("sgd", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    momentum: float = option(0.9, "Momentum of SGD.", bounds=(0.0, 1.0), advanced=True)
    weight_decay: float = option(5e-4, "Weight decay, on learned tokens too.", bounds=(0.0, 10.0), advanced=True)
    epsilon: float = option(1e-8, "Stabiliser of Adam and AdamW.", bounds=(0.0, 1.0), advanced=True)
    schedule: str = option(
        "cosine",
        "Course of the learning rate: by epoch with a warm-up, by step, swinging, in tenths after half and three "
        "quarters, or none.",
        choices=SCHEDULES,
        advanced=True,
    )
    final_rate: float = option(
        0.0, "Learning rate that the course by step ends at, and swings down to.", bounds=(0.0, 1.0), advanced=True
    )
    warmup_epochs: int = option(1, "Epochs at the warm-up rate.", unit="epochs", bounds=(0, 1000), advanced=True)
    warmup_rate: float = option(1e-5, "Learning rate while warming up.", bounds=(0.0, 1.0), advanced=True)
    views: int = option(
        8,
        "Augmented views kept per training image; the published protocol draws a new one each epoch.",
        unit="views",
        bounds=(1, 5000),
    )
    augmentation: str = augmentation_option("crop")

    def settled(self, images: int, classes: int) -> Self:
        if self.updates is None:
            return self
        steps = steps_per_epoch(images, self.batch_size, self.drop_last)
        return replace(self, epochs=math.ceil(self.updates / steps))


@dataclass(frozen=True)
class AdapterConfig(LoopConfig):
    """Options of methods that train something small on kept image features, as the published adapters do."""

    drop_last: bool = option(False, "Images that fill no batch are left out of an epoch.", advanced=True)
    epochs: int = option(20, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    schedule: str = option("cosine_by_step", "Course of the learning rate.", choices=SCHEDULES, advanced=True)
    augmentation: str = augmentation_option("mild")


@dataclass(frozen=True)
class PromptConfig(LoopConfig):
    """Options of methods that learn words of the text prompt."""

    context_length: int | None = option(
        None, "Learned tokens; empty takes one per word before the class name.", unit="tokens", bounds=(1, 64)
    )
    text_dropout: bool = option(False, "The text tower's own dropout is active while training.", advanced=True)
