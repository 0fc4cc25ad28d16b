"""Zero-shot classification: compare the image with one sentence per class, or with many.

Paper: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
Official code of the settings followed here: HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Single template: the cosine with the sentence's feature. Ensemble: the mean of the unit-norm features of a class's
descriptions, brought to unit norm again. Difference: published code takes the first 50 descriptions, we take all the
set has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from core.tuning.contract import Method, MethodConfig, Task
from core.tuning.option import option

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class Config(MethodConfig):
    """Options of zero-shot classification."""

    ensemble: bool = option(False, "Use the mean of all descriptions of a class instead of the one template.")


class ZeroShot(Method):
    """Nothing is learned: the baseline of every comparison."""

    title = "Zero-shot"
    summary = "Uses the model as it is: compares each image with a sentence about each class. Nothing is trained."
    paper = "Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021."
    code = "HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "nothing"
    renames_classes = True
    needs = frozenset({"template"})
    trains_by_steps = False
    is_baseline = True

    _classes: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        found = task.description_anchors() if config.ensemble else task.template_features(config.template)
        self.register_buffer("_classes", found, persistent=False)

    def class_features(self) -> Tensor:
        return self._classes

    def fit_directly(self, data: TrainingData) -> None:
        """There is nothing to fit."""
