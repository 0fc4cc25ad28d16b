"""SS-Text-U: SS-Text whose class vectors also learn from pictures without labels.

Paper: Silva-Rodriguez et al., arXiv 2603.02959, 2026.
Official code: jusiro/SS-Text-U, commit 2af21ae (MIT); written from the specification.

Each unlabelled picture is shared out among the classes so that the classes get their expected part of all pictures
(Sinkhorn's iteration), and counts for its share. The result is an ordinary model: it answers each picture by itself.

Differences. The code draws pool and shots with the class frequencies of the test part, so that its expectation is right
by construction; here it is what the person states ("frequencies") or the shots', and a run says where the sentences
alone find other shares. The code computes in exponentials, which overflow at CLIP's scale; here in logarithms. Test
images are never in the pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from core.errors import InvalidOption
from core.tuning.cache_model import one_hot
from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Task
from core.tuning.optimal_transport import shared_out
from core.tuning.option import option
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

FAR_OFF = 3.0
"""Factor between an expected and a found share from which a run warns."""


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of SS-Text-U."""

    unlabelled: str = option(
        "", "A folder of pictures without labels; empty: the training images that are not drawn, their labels unread."
    )
    frequencies: str = option(
        "",
        "Expected share of each class among them, in the order of classes, such as 0.5, 0.3, 0.2; empty: as among the "
        "shots.",
    )
    rounds: int = option(3, "Times that shares and class vectors are found anew.", unit="rounds", bounds=(1, 100))
    sinkhorn_steps: int = option(
        10, "Steps of Sinkhorn's iteration; 0: each picture by itself.", bounds=(0, 1000), advanced=True
    )
    missing_ratio: float = option(
        4.0,
        "A class without shots is expected so many times rarer than the rarest of the others.",
        bounds=(1.0, 1000.0),
        advanced=True,
    )

    def settled(self, images: int, classes: int) -> Self:
        if self.frequencies.strip() and len(self.shares()) != classes:
            raise InvalidOption(
                f"'frequencies' are {classes} numbers above 0, one for each class",
                f"found '{self.frequencies}'",
                "Separate them by commas, or leave it empty.",
            )
        return super().settled(images, classes)

    def shares(self) -> list[float]:
        """The stated frequencies, none where one of them is no number above 0."""
        try:
            found = [float(each) for each in self.frequencies.split(",")]
        except ValueError:
            return []
        return found if all(0 < each < float("inf") for each in found) else []


class SSTextU(PlainTexts):
    """w = t + scale x (class shots / 2 N x their sum + mean of unlabelled images by share), three times."""

    title = "SS-Text-U"
    summary = (
        "Adds shots and pictures without labels to each class's sentence. No training; wants a folder or spare images."
    )
    paper = "Silva-Rodriguez et al. arXiv 2603.02959, 2026."
    code = "jusiro/SS-Text-U, commit 2af21ae"
    licence = "MIT"
    trains = "one vector per class, in closed form, with unlabelled images"
    trains_by_steps = False
    reads_unlabelled = True
    variants: ClassVar = {}

    weight: Tensor

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("weight", self._classes.clone())
        self._remarks: list[str] = []

    def remarks(self) -> list[str]:
        return self._remarks

    def class_features(self) -> Tensor:
        return functional.normalize(self.weight, dim=-1)

    def fit_directly(self, data: TrainingData) -> None:
        images, pool, scale = support_features(data, self.config), data.unlabelled_features(), self.backbone.logit_scale
        members = one_hot(data.labels, len(self._classes))
        counts, expected = members.sum(dim=0), self._expected(members.sum(dim=0))
        start = self._classes + scale * (counts / (2 * len(images)))[:, None] * (members.T @ images)
        if not len(pool):
            self.weight = start
            return
        self._compare(expected, (scale * pool @ self._classes.T).softmax(dim=-1).mean(dim=0))
        for _ in range(self.config.rounds):
            shares = shared_out(scale * pool @ self.class_features().T, expected, self.config.sinkhorn_steps)
            self.weight = start + scale / len(pool) * shares.T @ pool

    def _expected(self, counts: Tensor) -> Tensor:
        """Expected share of each class (classes,), of sum 1."""
        if stated := self.config.shares():
            given = torch.tensor(stated).to(counts)
        else:
            given = torch.where(counts > 0, counts, counts[counts > 0].min() / self.config.missing_ratio)
        return given / given.sum()

    def _compare(self, expected: Tensor, found: Tensor) -> None:
        far = [
            f"'{name}' {own:.0%} by the sentences, expected {wanted:.0%}"
            for name, own, wanted in zip(self.task.classes, found.tolist(), expected.tolist(), strict=True)
            if max(own, wanted) > FAR_OFF * min(own, wanted)
        ]
        self._remarks = far and [
            f"Shares among the unlabelled images look other than expected: {'; '.join(far)}. State 'frequencies' if "
            "they are known."
        ]
