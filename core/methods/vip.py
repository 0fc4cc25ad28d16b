"""ViP: short findings of each class behind shared learned words, weighed by attention.

Paper: Fang et al., Aligning Medical Images with General Knowledge from Large Language Models, MICCAI 2024.
Official code: xiaofang007/ViP (no licence file); written from a specification, none of its texts are used.

Differences. The findings are the class's descriptions, whatever their source; a final full stop is taken off and set
behind the finding again. The code has four a class, so the first four are read by default ("findings"). The attention
lives in the joint space, where the code takes the text tower's width, equal only for the models it was written for. The
code leaves gradients on in both towers' attention without handing them to an optimiser: without effect, left out. Its
choice of the epoch on validation images is variant "reference"; the default keeps the last, like other methods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import LearnedWords
from core.tuning.contract import Choice, PromptConfig, Task, TrainingData, augmentation_option
from core.tuning.option import option
from core.tuning.text_context import RANDOM_STD, TextContext


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of ViP."""

    context_length: int | None = option(4, "Learned tokens.", unit="tokens", bounds=(1, 64))
    findings: int | None = option(
        4, "Descriptions read of each class, from the first; empty: all.", unit="sentences", bounds=(1, 1000)
    )
    keep: str = option(
        "last", "Epoch that is kept: the last, or the best on validation images.", choices=("last", "best")
    )
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    augmentation: str = augmentation_option("crop_flip")


class ViP(LearnedWords):
    """A class's feature: a vector of its own + the attention-weighted sum of its findings' features."""

    title = "ViP"
    summary = "Compares images with short visible findings of each class and learns which of them matter."
    paper = "Fang et al. Aligning Medical Images with General Knowledge from Large Language Models. MICCAI 2024."
    code = "xiaofang007/ViP"
    licence = "none stated"
    trains = "context words, a vector for each class and an attention over its descriptions"
    needs = frozenset({"descriptions"})
    renames_classes = False
    variants: ClassVar = {"reference": {"keep": "best"}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower, width = task.backbone, task.backbone.joint_width
        given = [task.descriptions.sentences[name][: config.findings] for name in task.classes]
        self._counts = [len(findings) for findings in given]
        texts = [text.rstrip(" .") for findings in given for text in findings]
        self.context = TextContext(
            tower, texts, "a photo of {}.", n=config.context_length or 4, random=True, generator=task.generator()
        )
        starts = [torch.randn(width, generator=task.generator(f"class {name}")) for name in task.classes]
        self.queries = nn.Parameter((torch.stack(starts) * RANDOM_STD).to(tower.device))
        with task.initial_values():
            self.to_query, self.to_key = (nn.Linear(width, width, bias=False) for _ in range(2))
            for layer in (self.to_query, self.to_key):
                nn.init.xavier_normal_(layer.weight)
        self.to(tower.device)
        self._best: dict[str, Tensor] = {}
        self._best_hits = -1

    @classmethod
    def choices(cls, config: Config) -> list[Choice]:
        return [Choice("the epoch that is kept")] if config.keep == "best" else []

    def class_features(self) -> Tensor:
        found = self.context.raw_features(dropout=self.drops_text).split(self._counts)
        merged = [
            merge_findings(query, findings, self.to_query.weight, self.to_key.weight)
            for query, findings in zip(self.queries, found, strict=True)
        ]
        return functional.normalize(torch.stack(merged), dim=-1)

    def prepare(self, data: TrainingData) -> None:
        self._data = data

    def after_epoch(self, epoch: int) -> None:
        if self.config.keep == "last" or not self._data.has_validation:
            return
        hits = self._data.validation_hits(self.logits)
        if hits > self._best_hits:
            self._best_hits, self._best = hits, {name: value.clone() for name, value in self.state_dict().items()}

    def after_training(self) -> None:
        if self._best:
            self.load_state_dict(self._best)

    def training_state(self) -> dict[str, Tensor]:
        return {"hits": torch.tensor(self._best_hits), **{f"best.{name}": v for name, v in self._best.items()}}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self._best_hits = int(state["hits"])
        device = self.backbone.device
        self._best = {n.removeprefix("best."): v.to(device) for n, v in state.items() if n.startswith("best.")}


def merge_findings(query: Tensor, findings: Tensor, to_query: Tensor, to_key: Tensor) -> Tensor:
    """query + sum_j a_j v_j with a = softmax(query Wq^T (v Wk^T)^T / sqrt(width)): (width,).

    query: (width,). findings: v (findings, width), not normalised. to_query, to_key: (width, width). Source: ViP, the
    single-query attention without a map of the values.
    """
    scores = (findings @ to_key.T) @ (to_query @ query) / math.sqrt(len(query))
    return query + scores.softmax(dim=0) @ findings
