"""GDA: Gaussian discriminant analysis of the image features, added to the zero-shot scores.

Paper: Wang et al., A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation, ICLR 2024.
Official code: mrflogs/ICLR24, commit 560fe21 (no licence file); written from the specification.

Differences. The published weight of the Gaussian part is chosen on the whole validation split even at one shot (and
once on test images); here on the drawn validation images, else by folds inside the shots, all views of an image in one
fold, and with one image per class it is 1. The logit scale is the model's own. Priors are uniform whatever the counts,
as published ("prior"). One view of one image per class leaves no spread and gives zero-shot: then two random views are
taken. The published form for classes without images is left out: such a class gets the mean of the other scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from core.tuning.cache_model import one_hot
from core.tuning.class_texts import PlainTexts
from core.tuning.contract import Choice, Task
from core.tuning.folds import shot_folds
from core.tuning.option import option
from core.tuning.support import SupportConfig, stacked_features
from core.tuning.views import CENTER

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

ALPHAS = (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Config(SupportConfig):
    """Options of GDA."""

    support_view: str = option(
        "mild", "View of each training image that is fitted.", choices=("center", "mild", "crop", "crop_flip")
    )
    support_views: int = option(
        10, "Random views, each fitted as an image of its own; the centre view is one.", unit="views", bounds=(1, 100)
    )
    alpha: float = option(1.0, "Weight of the Gaussian part where nothing can be searched.", bounds=(0.0, 1000.0))
    search: bool = option(True, "Choose this weight on validation images, or by folds inside the shots.")
    prior: str = option("uniform", "How frequent classes are taken to be.", choices=("uniform", "shots"), advanced=True)

    def settled(self, images: int, classes: int) -> Self:
        single = self.support_view == CENTER or self.support_views == 1
        return replace(self, support_view="mild", support_views=2) if images <= classes and single else self


class GDA(PlainTexts):
    """Scores are scale x (f . t) + alpha (f . W + b), with W and b from class means and one shared covariance."""

    title = "GDA"
    summary = "Models each class as a bell curve in the image features, beside the class sentences. No training."
    paper = "Wang et al. A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation. ICLR 2024."
    code = "mrflogs/ICLR24, commit 560fe21"
    licence = "none (no licence file)"
    trains = "one Gaussian per class, in closed form"
    trains_by_steps = False

    weight: Tensor
    bias: Tensor
    alpha: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("weight", torch.zeros_like(self._classes))
        self.register_buffer("bias", torch.zeros(len(self._classes), device=self._classes.device))
        self.register_buffer("alpha", torch.tensor(config.alpha, dtype=torch.float64))

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [Choice("the weight of the Gaussian part", inside_shots=True)] if config.search else []

    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features) + float(self.alpha) * (features @ self.weight.T + self.bias)

    def fit_directly(self, data: TrainingData) -> None:
        rows = stacked_features(data, self.config.support_view, self.config.support_views)
        views = len(rows) // data.n_train
        self.weight, self.bias = self._fit(rows, data.labels.repeat(views))
        if self.config.search:
            self._choose(data, rows.view(views, data.n_train, -1))

    def _fit(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias = gaussian_scores(rows, labels, len(self._classes), self.config.prior == "shots")
        return weight.to(self._classes), bias.to(self._classes)

    def _choose(self, data: TrainingData, views: Tensor) -> None:
        """The weight with the most hits, the smallest of equal ones; 1 where there is nothing to choose on."""
        hits = torch.zeros(len(ALPHAS), dtype=torch.int64)
        if data.has_validation:
            hits += self._hits(data.validation_features(), data.validation_labels, self.weight, self.bias)
        else:
            for fit, held in shot_folds(data.labels, data.groups):
                kept, judged = views[:, fit].flatten(0, 1), views[:, held].flatten(0, 1)
                weight, bias = self._fit(kept, data.labels[fit].repeat(len(views)))
                hits += self._hits(judged, data.labels[held].repeat(len(views)), weight, bias)
        if int(hits.max()) > 0:
            self.alpha.fill_(ALPHAS[int(hits.argmax())])

    def _hits(self, images: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """How many images are right, int64 (alphas,)."""
        gaussian = images @ weight.T + bias
        weights = torch.tensor(ALPHAS, device=images.device)[:, None, None]
        found = (super().logits(images) + weights * gaussian).argmax(dim=-1)
        return (found == labels).sum(dim=-1).cpu()


def gaussian_scores(rows: Tensor, labels: Tensor, classes: int, by_count: bool) -> tuple[Tensor, Tensor]:
    """Weights (classes, width) and biases (classes,), float64, of Gaussians that share one covariance.

    W_c = P mu_c and b_c = log prior - mu_c P mu_c / 2, with P = d pinv((n - 1) S + tr(S) I) from the covariance S of n
    rows around their class means. by_count: priors as frequent as the rows, else uniform. Source: Wang et al., 2024.
    """
    rows = rows.double()
    members = one_hot(labels, classes).to(rows)
    counts = members.sum(dim=0)
    means = (members.T @ rows) / counts.clamp_min(1)[:, None]
    around = rows - means[labels]
    scatter = around.T @ around
    spread = scatter.trace() / max(1, len(rows) - 1)
    width = rows.shape[1]
    precision = width * torch.linalg.pinv(scatter + spread * torch.eye(width).to(rows), hermitian=True)
    weight = means @ precision
    prior = (counts / len(rows)).clamp_min(1e-12) if by_count else torch.full_like(counts, 1 / classes)
    bias = prior.log() - (weight * means).sum(dim=-1) / 2
    absent = counts == 0
    if bool(absent.any()):
        weight[absent], bias[absent] = weight[~absent].mean(dim=0), bias[~absent].mean()
    return weight, bias
