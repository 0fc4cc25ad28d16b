"""Tip-Adapter-F: a cache of the training images, fine-tuned, added to the zero-shot scores.

Paper: Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022.
Official code: gaopengcuhk/Tip-Adapter, commit d0e2d6f (no licence file); the port followed here is that of
HealthX-Lab/BiomedCoOp, commit 7ceb5a8 (MIT).

Differences. The port first tries ten weights of the cache, 0 to 9, each meant to train a copy of the keys; but all ten
train one memory, and the optimiser of the announced epochs holds a tensor that nothing uses, so these change nothing
(variant "reference": "shared"). The default does what was meant ("fresh"): ten copies, the best on validation images
goes on; without such images the weight stays 1. The paper has no such trials and averages each key over ten augmented
views (variant "paper"). The port takes one random crop per key, the default the centre view. Upstream picks the epoch
on test images; here it is picked on validation images, with the last epoch where there are none. The logit scale is
the model's own, not a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from core.tuning.cache_model import BLEND_CHOICE, Blend, affinity_scores, choose_blend, one_hot
from core.tuning.class_texts import PlainTexts
from core.tuning.config import AdapterConfig
from core.tuning.contract import Choice, Task
from core.tuning.loop import fit
from core.tuning.option import option
from core.tuning.support import SupportConfig, support_features

if TYPE_CHECKING:
    from core.tuning.training_data import TrainingData

TRIAL_ALPHAS = range(10)
TRAINING_BETA = 1.0


@dataclass(frozen=True)
class Config(AdapterConfig, SupportConfig):
    """Options of Tip-Adapter-F."""

    train_alpha: float = option(
        1.0, "Weight of the cache while its keys are trained, where none is searched.", bounds=(0.0, 100.0)
    )
    train_alpha_search: str = option(
        "fresh",
        "Search that weight by ten short trainings, judged on validation images, where there are any: each on a fresh "
        "copy, on one shared memory (as published, which leaves the epochs without effect), or off.",
        choices=("fresh", "shared", "off"),
        advanced=True,
    )
    search: bool = option(True, "Choose the cache's weight and sharpness on validation images or inside the shots.")
    batch_size: int = option(256, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.001, "Step size at the start.", bounds=(0.0, 100.0))
    optimizer: str = option("adamw", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    epsilon: float = option(1e-4, "Stabiliser of Adam and AdamW.", bounds=(0.0, 1.0), advanced=True)
    weight_decay: float = option(0.01, "Weight decay.", bounds=(0.0, 10.0), advanced=True)


class TipAdapterF(PlainTexts):
    """Keys start as the training features and are trained with beta = 1; then alpha and beta are searched."""

    title = "Tip-Adapter-F"
    summary = "Remembers the training images and compares new ones with them, then fine-tunes that memory. Fast."
    paper = "Zhang et al. Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification. ECCV 2022."
    code = "gaopengcuhk/Tip-Adapter, commit d0e2d6f; HealthX-Lab/BiomedCoOp, commit 7ceb5a8"
    licence = "none (upstream), MIT (port)"
    trains = "one key vector per training image"
    variants: ClassVar = {
        "paper": {"support_view": "mild", "support_views": 10, "train_alpha_search": "off"},
        "reference": {"support_view": "mild", "train_alpha_search": "shared"},
    }

    values: Tensor
    blend: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        device = task.backbone.device
        self.keys = nn.Parameter(torch.empty(0, task.backbone.joint_width, device=device))
        self.register_buffer("values", torch.empty(0, len(task.classes), device=device))
        self.register_buffer("blend", torch.ones(2, dtype=torch.float64, device=device))
        self._best_keys, self._best_hits = torch.empty(0), -1
        self._trained: list[nn.Parameter] = []
        # what a trial of the search starts from; it is trained to its last epoch
        self._given: Tensor | None = None

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        trials = [Choice("the weight of the cache while it is trained")] if config.train_alpha_search != "off" else []
        return [*trials, Choice("the epoch that is kept"), *([BLEND_CHOICE] if config.search else [])]

    def prepare(self, data: TrainingData) -> None:
        self._data = data
        self.values = one_hot(data.labels, len(self.task.classes))
        if self._given is not None:
            self._begin(self._given, self.config.train_alpha)
            return
        keys, alpha = support_features(data, self.config).clone(), self.config.train_alpha
        searches = data.has_validation and self.config.train_alpha_search != "off"
        if searches:
            keys, alpha = self._search_training(data, keys)
        self._begin(keys, alpha)
        if searches and self.config.train_alpha_search == "shared":
            # as published, the optimiser holds a parameter that no score depends on
            self._trained = [nn.Parameter(keys.clone())]

    def _begin(self, keys: Tensor, alpha: float) -> None:
        """Start from these keys, with this weight of the cache."""
        self.keys = nn.Parameter(keys)
        self._trained = [self.keys]
        self.blend = torch.tensor([alpha, TRAINING_BETA], dtype=torch.float64, device=self.values.device)

    def _search_training(self, data: TrainingData, keys: Tensor) -> tuple[Tensor, float]:
        """Keys and weight after ten trainings: of the first best one on validation images; shared keys of the last."""
        shared = self.config.train_alpha_search == "shared"
        start, best, kept = keys, -1, (keys, self.config.train_alpha)
        for alpha in TRIAL_ALPHAS:
            config = replace(self.config, train_alpha=float(alpha), train_alpha_search="off")
            trial = TipAdapterF(config, self.task)
            trial._given = start.clone()
            fit(trial, data, seed=self.task.seed)
            trained, hits = trial.keys.detach(), data.validation_hits(trial.logits)
            if shared:
                start = trained
            if hits > best:
                best, kept = hits, (trained, float(alpha))
        return (start, kept[1]) if shared else kept

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._trained}]

    def logits(self, features: Tensor) -> Tensor:
        alpha, beta = self.blend.tolist()
        return super().logits(features) + affinity_scores(features @ self.keys.T, self.values, Blend(alpha, beta))

    def after_epoch(self, epoch: int) -> None:
        if self._given is not None or not self._data.has_validation:
            return
        hits = self._data.validation_hits(self.logits)
        if hits > self._best_hits:
            self._best_keys, self._best_hits = self.keys.detach().clone(), hits

    def after_training(self) -> None:
        if self._best_hits >= 0:
            self.keys = nn.Parameter(self._best_keys)

    def tune(self, data: TrainingData) -> None:
        if not self.config.search:
            return
        support = support_features(data, self.config)
        found = choose_blend(data, self.keys.detach(), support, self.values, super().logits)
        if found:
            self.blend = torch.tensor([found.alpha, found.beta], dtype=torch.float64, device=self.values.device)

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        device = self.values.device
        if self.keys.shape != state["keys"].shape:
            self.keys = nn.Parameter(torch.empty_like(state["keys"], device=device))
        with torch.no_grad():
            # in place, since an optimiser may hold this very tensor
            self.keys.copy_(state["keys"])
        self.values, self.blend = state["values"].to(device), state["blend"].to(device)

    def training_state(self) -> dict[str, Tensor]:
        return {"best_keys": self._best_keys, "best_hits": torch.tensor(self._best_hits)}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self._best_keys, self._best_hits = state["best_keys"].to(self.keys.device), int(state["best_hits"])
