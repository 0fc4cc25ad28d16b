"""AAPL: CoCoOp whose shifts are taught what a change of the picture does, apart from what the picture shows.

Paper: Kim, Kim, Lee, AAPL: Adding Attributes to Prompt Learning for Vision-Language Models, CVPR Workshops 2024.
Official code: Gahyeonkim09/AAPL (MIT).

Differences. The code changes normalised values; operations that cut colours to [0, 1] then turn every value below the
mean to zero. Here pictures are changed before they are normalised; variant "reference" does it as published. Its "red",
"green" and "blue" jitters are of no one channel; their strengths are kept under honest names. Pictures are shifted to
the right. Changed views are kept: by default 2 of each image and change, where the code draws new ones. With batches of
more than one each image has a partner and a pair of changes of its own, and the terms are averaged. Training needs 15
readings of each view of an image, kept in the store of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import LearnedWords, learned_context
from core.tuning.contract import Batch, PromptConfig, Task, TrainingData, augmentation_option
from core.tuning.option import option
from core.tuning.pixel_changes import PIXEL_CHANGES, RAW
from core.tuning.training_data import epoch_generator
from core.tuning.views import CENTER, ON_TOP

MARGIN = 0.2


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of AAPL."""

    random_start: bool = option(True, "Start from random vectors instead of the template's words.")
    attribute_weight: float = option(0.2, "Weight of the term on changed pictures.", bounds=(0.0, 1000.0))
    changes_on: str = option(
        "pixels", "Pictures are changed before they are normalised, or after.", choices=("pixels", "normalised")
    )
    reduction: int = option(
        16, "The network's hidden layer is the feature width divided by this.", bounds=(1, 256), advanced=True
    )
    epochs: int = option(10, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(1, "Images per step.", unit="images", bounds=(1, 4096))
    views: int = option(2, "Augmented views kept per training image and change.", unit="views", bounds=(1, 5000))
    augmentation: str = augmentation_option("crop_flip")


class AAPL(LearnedWords):
    """CoCoOp's cross-entropy + weight x the triplet term on what two changes do to the shifts of two pictures."""

    title = "AAPL"
    summary = "Like CoCoOp, but the shift by image learns to leave out what turning or colour change about a picture."
    paper = "Kim, Kim, Lee. AAPL: Adding Attributes to Prompt Learning for Vision-Language Models. CVPR Workshops 2024."
    code = "Gahyeonkim09/AAPL"
    licence = "MIT"
    trains = "context words and a small network that shifts them by image"
    per_image_text = True
    variants: ClassVar = {"reference": {"changes_on": "normalised"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        self.context = learned_context(config, task)
        hidden = max(1, tower.joint_width // config.reduction)
        with task.initial_values():
            first, second = nn.Linear(tower.joint_width, hidden), nn.Linear(hidden, tower.text_width)
        self.meta_net = nn.Sequential(first, nn.ReLU(), second).to(tower.device)
        ending = RAW if config.changes_on == "normalised" else ""
        # which views are needed follows from an option: of this object, not of the class
        self.extra_views = {name: name + ending for name in PIXEL_CHANGES}  # type: ignore[misc]
        self._drawn = task.generator("partners")

    def prepare(self, data: TrainingData) -> None:
        self._data = data

    def before_epoch(self, epoch: int) -> None:
        self._drawn = epoch_generator(self.task.seed, epoch, "partners")

    def logits(self, features: Tensor) -> Tensor:
        shift = self.meta_net(features)[:, None, None, :]
        texts = self.context.features(self.context.vectors + shift, dropout=self.drops_text)
        return self.backbone.logit_scale * torch.einsum("bd,bcd->bc", features, texts)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        terms = {"cross_entropy": functional.cross_entropy(self.logits(self.image_features(batch)), batch.labels)}
        if self.config.attribute_weight:
            terms["attributes"] = self.config.attribute_weight * attribute_triplet(*self._differences(batch)).mean()
        return terms

    def _differences(self, batch: Batch) -> list[Tensor]:
        """What changes A and B do to the shift of each picture and of its partner: 1A, 1B, 2A, 2B (batch, width)."""
        names = list(self.extra_views)
        images, partners, changed = self.image_features(batch), [], []
        for row, label in enumerate(batch.labels.tolist()):
            partner, view = self._partner(label), self._below(self._views)
            pair = torch.randperm(len(names), generator=self._drawn)[:2].tolist()
            partners.append(self._view("", view)[partner])
            for name in (names[number] for number in pair):
                changed += [batch.views[name][row], self._view(name, view)[partner]]
        plain = self.meta_net(torch.stack([images, torch.stack(partners)]))
        moved = self.meta_net(torch.stack(changed)).unflatten(0, (-1, 2, 2))  # image, change, picture or partner
        return [moved[:, change, picture] - plain[picture] for picture in (0, 1) for change in (0, 1)]

    def _partner(self, label: int) -> int:
        """A training image of another class, each other class alike."""
        labels = self._data.labels.tolist()
        # in the order in which classes turn up, so that their numbers have no say
        others = [other for other in dict.fromkeys(labels) if other != label]
        chosen = others[self._below(len(others))]
        images = [number for number, other in enumerate(labels) if other == chosen]
        return images[self._below(len(images))]

    def _view(self, name: str, view: int) -> Tensor:
        """Features (train, joint_width) of all training images under a change; the empty name is none."""
        change = ON_TOP + self.extra_views[name] if name else ""
        return self._data.train_features(self.config.augmentation + change, view)

    @property
    def _views(self) -> int:
        return 1 if self.config.augmentation == CENTER else self.config.views

    def _below(self, end: int) -> int:
        return int(torch.randint(0, end, (), generator=self._drawn))


def attribute_triplet(one_a: Tensor, one_b: Tensor, two_a: Tensor, two_b: Tensor) -> Tensor:
    """One change does the same to two pictures, and two changes do not do the same to one: (batch,), at least 0.

    Each: difference of shifts (batch, width) of picture one or two under change A or B. Source: AAPL, its adaptive
    triplet loss with the anchors 1A and 2B and a margin of 0.2.
    """

    def apart(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).square().sum(dim=-1)

    first = apart(one_a, two_a) - apart(one_a, one_b) + MARGIN
    second = apart(two_b, one_b) - apart(two_b, two_a) + MARGIN
    return first.relu() + second.relu()
