"""Linear probe: logistic regression on frozen image features.

Paper: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
Official code of the settings followed here: HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The published code fits on one random crop per image; here the default is the centre view, variant
"reference" takes the crop, and "support_views" averages several. As published, regularisations are compared by
accuracy, of equal ones the first is kept, and the reported fit is the kept end of the last bisection round, not the
best ever seen; "log_loss" is offered beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from core.tuning.contract import Starter, Task
from core.tuning.logistic import LogisticConfig, LogisticHead
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class Config(LogisticConfig, SupportConfig):
    """Options of the linear probe."""


class LinearProbe(LogisticHead):
    """One weight vector and bias per class; L2-regularised, lbfgs."""

    title = "Linear probe"
    summary = "Draws straight borders between classes in the image features. Needs no texts; a strong simple baseline."
    paper = "Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021."
    code = "HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "MIT"
    trains = "a linear classifier on image features"
    starter = Starter(3, "Baseline")
    variants: ClassVar = {"reference": {"support_view": "mild"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task, task.backbone.joint_width)

    def support(self, data: TrainingData) -> Tensor:
        return support_features(data, self.config)
