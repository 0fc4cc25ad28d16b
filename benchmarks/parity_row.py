"""What a replayed trace comes to, and the limits it has to keep."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.tuning.contract import Method

LIMITS = {"loss": 1e-4, "parts": 1e-4, "logits": 1e-3, "context": 1e-5, "moved": 1.0}
"""Largest differences allowed, as the traces' authors suggest."""


@dataclass(frozen=True)
class Row:
    """One trace's outcome; a difference is None where the trace has nothing of the kind.

    method: our name of it. moved: the difference of what was learned as a share of how far it moved, in units of the
    share that is allowed.
    """

    trace: str
    loss: float | None = None
    parts: float | None = None
    logits: float | None = None
    context: float | None = None
    moved: float | None = None
    skipped: str = ""
    method: str = ""

    @property
    def fits(self) -> bool:
        """Whether every difference is inside its limit."""
        return all(value is None or value <= LIMITS[name] for name, value in self.differences.items())

    @property
    def differences(self) -> dict[str, float | None]:
        """What has a limit, by its name there."""
        return {name: getattr(self, name) for name in LIMITS}


def evaluate(method: Method, images: Tensor) -> Tensor:
    """Scores (images, classes) of features, as in use."""
    method.eval()
    with torch.no_grad():
        return method.logits(images)


def difference(ours: Tensor, recorded: Tensor) -> float:
    """The largest absolute difference of two tensors of one shape."""
    return float((ours.detach().double() - recorded.double()).abs().max())


def share_of_movement(ours: Tensor, start: Tensor, end: Tensor) -> float:
    """The largest difference from `end` beside the largest step from `start` to it.

    Tells a wrong weight decay, which a small absolute difference hides where little moves.
    """
    return difference(ours, end) / max(difference(start, end), 1e-12)
