"""Class mean: the class whose training images look most alike on average.

Paper: Snell, Swersky, Zemel, Prototypical Networks for Few-shot Learning, NeurIPS 2017.
Official code: none followed.

Differences. The paper learns the features; here they are the frozen encoder's. It compares by squared distance, here
the cosine is used that the encoder was trained with. `text_share` is ours: it mixes the class sentence into each mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.contract import Method, MethodConfig, Task
from core.tuning.option import option

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class Config(MethodConfig):
    """Options of the class mean."""

    text_share: float = option(0.2, "Share of the class sentence in each mean.", bounds=(0.0, 1.0))


class ClassMean(Method):
    """Scores are scaled cosines with the mean feature of each class."""

    title = "Class mean"
    summary = "Averages the training images of each class and compares new images with these means. Instant."
    paper = "Snell, Swersky, Zemel. Prototypical Networks for Few-shot Learning. NeurIPS 2017."
    licence = "ours"
    trains = "one mean image feature per class"
    needs = frozenset({"template"})
    trains_by_steps = False
    fitted = ("means",)

    means: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("means", task.template_features(config.template))

    def class_features(self) -> Tensor:
        return self.means

    def fit_directly(self, data: TrainingData) -> None:
        images, share = data.train_features(), self.config.text_share
        of_class = [images[data.labels == label].mean(dim=0) for label in range(len(self.task.classes))]
        self.means = functional.normalize((1 - share) * torch.stack(of_class) + share * self.means, dim=-1)
