"""What a running training says of itself, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class Cancelled(Exception):
    """Raised by a progress callback to stop the training it reports on."""


@dataclass(frozen=True)
class Progress:
    """One report.

    stage: "images", "backbone", "states" (of a language model), "features", "training", "tuning", "evaluation" or
    "saving". done, total: of the stage's own unit (images for features, epochs for training, classes for states).
    loss: mean over the epoch's steps; terms: its parts. Times in seconds. Fields that do not apply are None.
    """

    stage: str
    done: int = 0
    total: int = 0
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    terms: dict[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    train_accuracy: float | None = None
    seconds_per_epoch: float | None = None
    seconds_left: float | None = None


Report = Callable[[Progress], None]


def unheard(progress: Progress) -> None:
    """The report of a training nobody watches."""
