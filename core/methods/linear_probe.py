"""Linear probe: logistic regression on frozen image features.

Paper: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
Official code of the settings followed here: HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The published code fits on one random crop per image; here the default is the centre view, variant
"reference" takes the crop, and "support_views" averages several. As published, regularisations are compared by
accuracy, of equal ones the first is kept, and the reported fit is the kept end of the last bisection round, not the
best ever seen; "log_loss" is offered beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor

from core.tuning.contract import Choice, Method, Starter, Task
from core.tuning.folds import shot_folds
from core.tuning.option import option
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

COARSE = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)
ROUNDS = 8
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of the linear probe."""

    inverse_regularisation: float = option(
        1.0, "Inverse strength C of the L2 penalty where nothing can be searched.", bounds=(1e-9, 1e9)
    )
    search: bool = option(True, "Choose C on validation images, or by cross-fitting inside the shots.")
    choose_by: str = option("accuracy", "What makes one C better than another.", choices=("accuracy", "log_loss"))


class LinearProbe(Method):
    """One weight vector and bias per class; L2-regularised, lbfgs."""

    title = "Linear probe"
    summary = "Draws straight borders between classes in the image features. Needs no texts; a strong simple baseline."
    paper = "Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021."
    code = "HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "a linear classifier on image features"
    starter = Starter(3, "Baseline")
    trains_by_steps = False
    variants: ClassVar = {"reference": {"support_view": "mild"}}

    weight: Tensor
    bias: Tensor
    strength: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        classes, device = len(task.classes), task.backbone.device
        self.register_buffer("weight", torch.zeros(classes, task.backbone.joint_width, device=device))
        self.register_buffer("bias", torch.zeros(classes, device=device))
        # C as it was chosen, kept with the weights so that a model tells how strongly it was regularised
        self.register_buffer("strength", torch.tensor(config.inverse_regularisation, dtype=torch.float64))

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [Choice("how strongly weights are held small", inside_shots=True)] if config.search else []

    def logits(self, features: Tensor) -> Tensor:
        return features @ self.weight.T + self.bias

    def fit_directly(self, data: TrainingData) -> None:
        images, labels = _arrays(support_features(data, self.config), data.labels)
        strength = self.config.inverse_regularisation
        score = self._score(data, images, labels) if self.config.search else None
        if score:
            strength = search_strength(score)
        self.strength.fill_(strength)
        self._keep(_fit(images, labels, strength))

    def _score(self, data: TrainingData, images: np.ndarray, labels: np.ndarray) -> Callable[[float], float] | None:
        """A function from C to goodness, or None where nothing can be chosen."""
        if data.has_validation:
            held = _arrays(data.validation_features(), data.validation_labels)
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
