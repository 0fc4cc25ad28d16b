"""Joint prediction of a folder: each image's answer is refined by what its neighbours in the folder are.

Method: Zanella, Gerin, Ben Ayed, Boosting Vision-Language Models with Transduction, NeurIPS 2024 (TransCLIP), and its
use on histology by the same group. Their code is AGPL-3.0; written from a description of the formulas.

Differences, each a defect of the published code: rows of neighbours and of shots stand aligned, a shot keeps its
nearest image of the folder, and the given probabilities stay what they are while answers change.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.errors import TooFewImages
from core.tuning.cache_model import one_hot

NEIGHBOURS = 3
ROUNDS, INNER_ROUNDS = 10, 5
SUREST = 8
"""Images that the first mean of a class is taken over."""
GAUSSIAN_SHARE = 50
SHOT_WEIGHT = 50
ROWS_AT_ONCE = 1024
FEWEST, FEWEST_PER_CLASS = 8, 4
SCARCE = 0.02
"""A class that is given less than this share of the folder starts from images of other classes."""


@dataclass(frozen=True)
class Shots:
    """Labelled images that take part. features: unit-norm (shots, width). labels: int64 (shots,).

    weight: gamma of the paper; at 0.02 the shots and the folder weigh alike.
    """

    features: Tensor
    labels: Tensor
    weight: float = 0.02


@dataclass(frozen=True)
class _Links:
    """The nearest images of the folder for some rows: positions and cosines, both (rows, neighbours)."""

    places: Tensor
    cosines: Tensor

    def gathered(self, answers: Tensor) -> Tensor:
        """For each row the sum over its neighbours of cosine x answer: (rows, classes)."""
        return (self.cosines[:, :, None] * answers[self.places]).sum(dim=1)

    def spread(self, answers: Tensor, images: int) -> Tensor:
        """For each image of the folder the sum over the rows it is a neighbour of: (images, classes)."""
        sent = self.cosines[:, :, None] * answers[:, None]
        found = answers.new_zeros(images, answers.shape[1])
        return found.index_add_(0, self.places.flatten(), sent.flatten(0, 1))


def check_pool(images: int, classes: int) -> None:
    """Raises TooFewImages for a folder that is too small to be answered together."""
    fewest = max(FEWEST, FEWEST_PER_CLASS * classes)
    if images < fewest:
        raise TooFewImages(
            f"Joint prediction of {classes} classes needs at least {fewest} images",
            f"there are {images}",
            "Add images, or classify them one by one.",
        )


def scarce_classes(probabilities: Tensor) -> list[int]:
    """Classes that the given answers (images, classes) find in less than 2 % of the folder."""
    shares = one_hot(probabilities.argmax(dim=-1), probabilities.shape[1]).mean(dim=0)
    return (shares < SCARCE).nonzero().flatten().tolist()


@torch.no_grad()
def transduce(
    features: Tensor, probabilities: Tensor, shots: Shots | None = None, trust: float | None = None
) -> Tensor:
    """Refined answers (images, classes), float64, rows that sum to 1: valid for this folder only, and overconfident.

    features: unit-norm (images, width) of the whole folder. probabilities: a model's own (images, classes), from the
    softmax of its scores. trust: their exponent; None takes 1, or 0.5 with shots. No labels of the folder are asked.
    """
    images, given = features.double(), probabilities.double()
    anchor = given.clamp_min(torch.finfo(given.dtype).tiny).log() * (trust or (0.5 if shots else 1.0))
    near = nearest(images, images, own=True)
    votes = torch.zeros_like(given)
    if shots:
        known = shots.features.double()
        members = one_hot(shots.labels, given.shape[1]).double()
        votes = nearest(known, images).spread(members, len(images))
        means = functional.normalize(members.T @ known, dim=-1)
    else:
        means = functional.normalize(_surest_means(images, given), dim=-1)
    answers, spread = given, torch.full_like(images[0], 1 / images.shape[1])
    for last in [False] * ROUNDS + [True]:
        fit = _log_density(images, means, spread) / GAUSSIAN_SHARE
        for _ in range(INNER_ROUNDS):
            agreed = near.gathered(answers) + near.spread(answers, len(images)) + votes
            answers = (anchor + fit + agreed / (2 * NEIGHBOURS)).softmax(dim=-1)
        if not last:
            means, spread = _moments(images, answers, shots)
    return answers


def nearest(rows: Tensor, images: Tensor, own: bool = False) -> _Links:
    """The three nearest images of unit-norm rows (rows, width), equal ones by their order. own: rows are the images."""
    places, cosines = [], []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        found = rows[start : start + ROWS_AT_ONCE] @ images.T
        ranked = found.clone()
        if own:
            ranked[torch.arange(len(found)), torch.arange(start, start + len(found))] = -torch.inf
        kept = min(NEIGHBOURS, len(images) - own)
        place = ranked.argsort(dim=-1, descending=True, stable=True)[:, :kept]
        places.append(place)
        cosines.append(found.gather(1, place))
    return _Links(torch.cat(places), torch.cat(cosines))


def _surest_means(images: Tensor, given: Tensor) -> Tensor:
    """For each class the weighted mean (classes, width) of the eight images that are surest of it."""
    surest = given.argsort(dim=0, descending=True, stable=True)[:SUREST]
    weights = given.gather(0, surest)
    return torch.einsum("kc,kcd->cd", weights, images[surest]) / len(surest)


def _log_density(images: Tensor, means: Tensor, spread: Tensor) -> Tensor:
    """-1/2 of the squared distance in units of the variances: (images, classes)."""
    scaled, centres = images / spread.sqrt(), means / spread.sqrt()
    return -torch.cdist(scaled, centres).square() / 2


def _moments(images: Tensor, answers: Tensor, shots: Shots | None) -> tuple[Tensor, Tensor]:
    """Unit-norm class means (classes, width) and shared variances (width,) of images weighted by their answers."""
    rows, shares, total = images, answers / len(images), 1.0
    if shots:
        weight = SHOT_WEIGHT * shots.weight
        members = one_hot(shots.labels, answers.shape[1]).to(answers)
        rows = torch.cat([images, shots.features.to(images)])
        shares = torch.cat([shares, weight / len(members) * members])
        total += weight
    means = functional.normalize(shares.T @ rows / shares.sum(dim=0)[:, None], dim=-1)
    # sum over rows and classes of share x (row - mean)^2, without a table of rows x classes x width
    spread = shares.sum(dim=1) @ rows.square() - 2 * ((shares @ means) * rows).sum(dim=0)
    spread += shares.sum(dim=0) @ means.square()
    return means, (spread / total).clamp_min(1e-12)
