"""The key-value cache of training features that Tip-Adapter adds to the zero-shot scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.contract import Choice
from core.tuning.training_data import groups_per_class

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

GRID_STEPS = 200
GRID_LOW = 0.1
GRID_HIGH = 50.0
"""Point i of the search is low + i (high - low) / steps; the high end itself is not reached (Tip-Adapter's grid)."""


BLEND_CHOICE = Choice("weight and sharpness of the cache", inside_shots=True)


@dataclass(frozen=True)
class Blend:
    """How the cache is mixed in. alpha: weight of the cache; beta: sharpness of its kernel."""

    alpha: float
    beta: float


def affinity_scores(affinity: Tensor, values: Tensor, blend: Blend) -> Tensor:
    """alpha exp(-beta (1 - affinity)) values: (images, keys) cosines to (images, classes) scores.

    Source: Zhang et al., Tip-Adapter, ECCV 2022, equation of the cache model.
    """
    return blend.alpha * (-blend.beta * (1 - affinity)).exp() @ values


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Cache values (keys, classes), float."""
    return functional.one_hot(labels, classes).float()


def search_blend(affinity: Tensor, values: Tensor, base: Tensor, labels: Tensor) -> Blend:
    """The pair (alpha, beta) of a 200 x 200 grid with the best accuracy; the first best one is kept, beta outside.

    affinity: (images, keys), values: (keys, classes), base: zero-shot logits (images, classes), labels: (images,).
    """
    points = GRID_LOW + torch.arange(GRID_STEPS, dtype=torch.float64) * (GRID_HIGH - GRID_LOW) / GRID_STEPS
    alphas = points.to(base)[:, None, None]
    best, kept = -1, Blend(1.0, 1.0)
    for beta in points.tolist():
        cached = affinity_scores(affinity, values, Blend(1.0, beta))
        hits = ((base + alphas * cached).argmax(dim=-1) == labels).sum(dim=-1)
        score = int(hits.max())
        if score > best:
            best, kept = score, Blend(float(points[int(hits.argmax())]), beta)
    return kept


def choose_blend(
    data: TrainingData, keys: Tensor, support: Tensor, values: Tensor, zero_shot: Callable[[Tensor], Tensor]
) -> Blend | None:
    """The best pair on validation images, else inside the shots; None where a class has one image, or patient, only.

    keys: of the cache, trained or not. support: the training images' features (keys, joint_width), with which the
    choice inside the shots is made, since trained keys know their own image. zero_shot: unit-norm features to logits.
    """
    if data.has_validation:
        images, labels = data.validation_features(), data.validation_labels
        affinity = images @ keys.T
    elif groups_per_class(data.labels, data.groups) > 1:
        images, labels = support, data.labels
        affinity = leave_own_out(images @ images.T, data.groups)
    else:
        return None
    return search_blend(affinity, values, zero_shot(images), labels)


def leave_own_out(affinity: Tensor, groups: Tensor) -> Tensor:
    """The cosines among training images with the keys of each image's own group (patient) taken out of its row.

    groups: (images,), as of `TrainingData`. Lets alpha and beta be chosen inside the shots: an image must not vote for
    itself, nor for another of the same patient.
    """
    return affinity.masked_fill(groups[:, None] == groups[None, :], -torch.inf)
