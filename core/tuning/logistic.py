"""Logistic regression on features of pictures, its strength searched: the head of linear probes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor

from core.tuning.contract import Choice, Method, MethodConfig, Task
from core.tuning.folds import shot_folds
from core.tuning.option import option

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

COARSE = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)
ROUNDS = 8
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class LogisticConfig(MethodConfig):
    """Options of the head."""

    inverse_regularisation: float = option(
        1.0, "Inverse strength C of the L2 penalty where nothing can be searched.", bounds=(1e-9, 1e9)
    )
    search: bool = option(True, "Choose C on validation images, or by cross-fitting inside the shots.")
    choose_by: str = option("accuracy", "What makes one C better than another.", choices=("accuracy", "log_loss"))


class LogisticHead(Method):
    """One weight vector and bias per class; L2-regularised, lbfgs. width: of a feature."""

    trains_by_steps = False

    weight: Tensor
    bias: Tensor
    strength: Tensor

    def __init__(self, config: Any, task: Task, width: int) -> None:
        super().__init__(config, task)
        classes, device = len(task.classes), task.backbone.device
        self.register_buffer("weight", torch.zeros(classes, width, device=device))
        self.register_buffer("bias", torch.zeros(classes, device=device))
        # C as it was chosen, kept with the weights so that a model tells how strongly it was regularised
        self.register_buffer("strength", torch.tensor(config.inverse_regularisation, dtype=torch.float64))

    @classmethod
    def choices(cls, config: Any) -> list[Choice]:
        return [Choice("how strongly weights are held small", inside_shots=True)] if config.search else []

    @abstractmethod
    def support(self, data: TrainingData) -> Tensor:
        """What is fitted on: one feature (train, width) for each training image."""

    def scaled(self, features: Tensor) -> Tensor:
        """Features as the border is drawn in them."""
        return features

    def logits(self, features: Tensor) -> Tensor:
        return self.scaled(features) @ self.weight.T + self.bias

    def fit_directly(self, data: TrainingData) -> None:
        images, labels = _arrays(self.scaled(self.support(data)), data.labels)
        strength = self.config.inverse_regularisation
        score = self._score(data, images, labels) if self.config.search else None
        if score:
            strength = search_strength(score)
        self.strength.fill_(strength)
        self._keep(_fit(images, labels, strength))

    def _score(self, data: TrainingData, images: np.ndarray, labels: np.ndarray) -> Callable[[float], float] | None:
        """A function from C to goodness, or None where nothing can be chosen."""
        if data.has_validation:
            held = _arrays(self.scaled(data.validation_features()), data.validation_labels)
            return lambda strength: self._goodness(_fit(images, labels, strength), *held)
        parts = shot_folds(data.labels, data.groups)
        if not parts:
            return None
        return lambda strength: float(
            np.mean(
                [
                    self._goodness(_fit(images[fit], labels[fit], strength), images[held], labels[held])
                    for fit, held in parts
                ]
            )
        )

    def _goodness(self, fitted: LogisticRegression, images: np.ndarray, labels: np.ndarray) -> float:
        if self.config.choose_by == "accuracy":
            return float(accuracy_score(labels, fitted.predict(images)))
        return -float(log_loss(labels, fitted.predict_proba(images), labels=range(len(self.task.classes))))

    def _keep(self, fitted: LogisticRegression) -> None:
        weight, bias = fitted.coef_, fitted.intercept_
        if len(weight) == 1:
            # two classes are fitted as one border; half of it on either side gives the same probabilities
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        self.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))


def search_strength(score: Callable[[float], float]) -> float:
    """The C kept by a coarse list and eight rounds of bisection on its logarithm; ties keep the smaller C."""
    coarse = [score(strength) for strength in COARSE]
    start = COARSE[int(np.argmax(coarse))]
    left, right = start / 10, start * 10
    for _ in range(ROUNDS):
        kept_left, middle = score(left) >= score(right), float(np.sqrt(left * right))
        kept = left if kept_left else right
        left, right = (left, middle) if kept_left else (middle, right)
    return kept


def _fit(images: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, solver="lbfgs", max_iter=MAX_ITERATIONS).fit(images, labels)


def _arrays(features: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return features.cpu().numpy(), labels.cpu().numpy()
