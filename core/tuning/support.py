"""The features that closed-form methods and caches stand on: one view of each training image, or a mean of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.contract import MethodConfig
from core.tuning.option import option
from core.tuning.views import CENTER

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData


@dataclass(frozen=True)
class SupportConfig(MethodConfig):
    """Options of methods that keep or fit one feature per training image."""

    support_view: str = option(
        "center",
        "View of each training image that is kept or fitted: center, or a random one (as published: mild).",
        choices=("center", "mild", "crop", "crop_flip"),
    )
    support_views: int = option(
        1,
        "Random views that are averaged into one feature; the centre view is one.",
        unit="views",
        bounds=(1, 100),
    )


def stacked_features(data: TrainingData, augmentation: str, views: int) -> Tensor:
    """Unit-norm features (views * train, joint_width) of several views, each a row of its own, view by view."""
    numbers = range(1 if augmentation == CENTER else views)
    return torch.cat([data.train_features(augmentation, view) for view in numbers])


def support_features(data: TrainingData, config: SupportConfig) -> Tensor:
    """Unit-norm features (train, joint_width): of one view, or the mean of the unit-norm features of several."""
    views = range(1 if config.support_view == CENTER else config.support_views)
    mean = torch.stack([data.train_features(config.support_view, view) for view in views]).mean(dim=0)
    return functional.normalize(mean, dim=-1)
