"""CLAP: a cosine classifier held near each class sentence, the more the better that sentence already works.

Paper: Silva-Rodriguez, Hajimiri, Ben Ayed, Dolz, A Closer Look at the Few-Shot Adaptation of Large Vision-Language
Models, CVPR 2024.
Official code: jusiro/CLAP, commit dbdf409 (MIT).

Differences. As for ZS-LP: a start of fixed length, centre views and full batches; variant "reference" takes the tower's
own lengths and random views. The penalty is averaged over classes, as the code does; its strength is measured on the
views that train. A class without images takes the mean strength of the others, where the code divides by zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from core.tuning.contract import Batch
from core.tuning.option import option
from core.tuning.prototypes import AS_PUBLISHED, PrototypeConfig, Prototypes, class_confidence
from core.tuning.support import stacked_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class Config(PrototypeConfig):
    """Options of CLAP."""

    penalty: str = option(
        "performance",
        "How strongly a class is held: by how sure the sentences already are of its images, all alike, or not at all.",
        choices=("performance", "ones", "off"),
    )


class CLAP(Prototypes):
    """Cross-entropy + mean over classes of strength x squared distance to the start."""

    title = "CLAP"
    summary = "A linear probe that starts at the class sentences and stays near those that already work. Very fast."
    paper = (
        "Silva-Rodriguez et al. A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models. CVPR 2024."
    )
    code = "jusiro/CLAP, commit dbdf409"
    licence = "MIT"
    trains = "one vector per class on image features"
    variants: ClassVar = {"reference": AS_PUBLISHED}

    strength: Tensor

    def prepare(self, data: TrainingData) -> None:
        how, classes = self.config.penalty, len(self._classes)
        strength = torch.full((classes,), float(how == "ones"), device=self._classes.device)
        if how == "performance":
            images = stacked_features(data, self.config.augmentation, self.config.views)
            labels = data.labels.repeat(len(images) // data.n_train)
            strength = class_confidence(self._classes, self.backbone.logit_scale, images, labels)
        self.register_buffer("strength", strength, persistent=False)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        away = (self.learned - self.start).square().sum(dim=-1)
        return super().loss_terms(batch) | {"distance": (self.strength * away).mean()}
