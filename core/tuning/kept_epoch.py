"""Ending with the epoch that was best on validation images, for methods that are trained on pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.tuning.contract import Choice, Method, Task, TrainingData

JUDGED = 50
"""Epochs that are judged at most, evenly over the training, and the last one."""
IMAGES_AT_ONCE = 64


class KeptEpoch(Method):
    """Base of methods that end with the first epoch of most right validation images, without any with the last one."""

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self._held, self._held_labels = torch.empty(0), torch.empty(0, dtype=torch.int64)
        self._best, self._best_hits = dict[str, Tensor](), -1

    @classmethod
    def choices(cls, config: Any) -> list[Choice]:
        return [Choice("the epoch that is kept")]

    def prepare(self, data: TrainingData) -> None:
        self._held = data.validation_pixels() if data.has_validation else torch.empty(0)
        self._held_labels = data.validation_labels

    def after_epoch(self, epoch: int) -> None:
        every, last = max(1, self.config.epochs // JUDGED), self.config.epochs - 1
        if not len(self._held) or (epoch % every and epoch != last):
            return
        self.eval()
        with torch.no_grad():
            found = [self.logits(self.encode_images(part)).argmax(dim=-1) for part in self._held.split(IMAGES_AT_ONCE)]
        self.train()
        hits = int((torch.cat(found) == self._held_labels).sum())
        if hits > self._best_hits:
            self._best, self._best_hits = {k: v.detach().clone() for k, v in self.state_dict().items()}, hits

    def after_training(self) -> None:
        if self._best:
            self.load_state_dict(self._best)

    def training_state(self) -> dict[str, Tensor]:
        return {"best_hits": torch.tensor(self._best_hits), **{f"best.{name}": v for name, v in self._best.items()}}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self._best_hits = int(state["best_hits"])
        device = self.backbone.device
        self._best = {k.removeprefix("best."): v.to(device) for k, v in state.items() if k.startswith("best.")}
