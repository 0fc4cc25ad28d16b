"""PLOT++: several prompts in both towers, matched by optimal transport; the image side is trained first.

Paper: Chen, Yao, Song, Li, Rao, Zhang, PLOT: Prompt Learning with Optimal Transport for Vision-Language Models, ICLR
2023; PLOT++ is its form for vision transformers.
Official code: CHENGY12/PLOT, folder plot-pp (MIT).

Differences. The code trains two stages in two runs, the first with one seed for all seeds of the second, which makes
results look steadier than they are; here both stages are one training with one seed, half of the epochs each, and the
learning rate begins anew. Phrases of unequal length are cut there in the middle of words; here they are refused. Our
four phrases are the template with its first word exchanged, so that any kind of picture has some. The iteration stops
for each pair by itself; variant "reference" stops when the mean over the batch is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import PartlyEncoded
from core.errors import InvalidOption
from core.tuning.context_sets import ContextSets, MatchedConfig, MatchedPrompts
from core.tuning.contract import Task
from core.tuning.optimal_transport import transport_scores
from core.tuning.option import option
from core.tuning.text_context import TextContext
from core.tuning.visual_prompt import VisualPrompt

FIRST_WORDS = ("a", "the", "this", "one")


@dataclass(frozen=True)
class Config(MatchedConfig):
    """Options of PLOT++."""

    phrases: str | None = option(
        None,
        "Openings before the class name, of equally many tokens, parted by |; empty: the template's, begun with 'a', "
        "'the', 'this' and 'one'.",
    )
    visual_sets: int = option(4, "Sets of vectors in the image tower; it runs once for each.", bounds=(1, 16))
    visual_tokens: int = option(2, "Learned vectors of each set.", unit="tokens", bounds=(1, 64))
    first_stage: float = option(
        0.5, "Share of the epochs in which only the image tower's vectors learn.", bounds=(0.0, 1.0)
    )


class PLOTPlusPlus(MatchedPrompts):
    """The similarity under the transport plan; while the image side trains, the cosine of both means beside it."""

    title = "PLOT++"
    summary = "Looks at a picture in several learned ways and matches them with several prompts a class. Very slow."
    paper = "Chen et al. PLOT: Prompt Learning with Optimal Transport for Vision-Language Models. ICLR 2023."
    code = "CHENGY12/PLOT, folder plot-pp"
    licence = "MIT"
    trains = "context words of several text prompts and several sets of vectors in the image tower"
    answers_from = "several passes through the image tower"
    variants: ClassVar = {"reference": {"stop_together": True}}

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        after, drawn = config.template.split("{}", 1)[1], task.generator()
        self.contexts = ContextSets(
            TextContext(task.backbone, task.classes, f"{phrase} {{}}{after}", n=config.context_length)
            for phrase in openings(config)
        )
        self.visual = torch.nn.ModuleList(
            VisualPrompt(task.backbone, config.visual_tokens, 1, "append", drawn) for _ in range(config.visual_sets)
        )
        self._alone = False

    @property
    def _first_epochs(self) -> int:
        return int(self.config.epochs * self.config.first_stage)

    def stage(self, epoch: int) -> tuple[int, int]:
        first = self._first_epochs
        return (0, first) if epoch < first else (first, self.config.epochs - first)

    def before_epoch(self, epoch: int) -> None:
        self._alone = epoch < self._first_epochs
        self.contexts.requires_grad_(not self._alone)

    def after_training(self) -> None:
        self._alone = False
        self.contexts.requires_grad_(True)

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Features with each set of vectors (batch, sets, joint_width), not of unit norm: their mean is taken first."""
        sets = cast("list[VisualPrompt]", list(self.visual))
        return torch.stack([self.backbone.encode_images(pixels, prompt.tokens()) for prompt in sets], dim=1)

    def picture_vectors(self, features: Tensor) -> Tensor:
        """The mean of what the sets of vectors see."""
        return features.mean(dim=1)

    def logits(self, features: Tensor) -> Tensor:
        texts = self.contexts.raw_features(self.drops_text)
        unit = functional.normalize(features, dim=-1), functional.normalize(texts, dim=-1)
        scores = transport_scores(*unit, self.config.stop_together)
        if self._alone:
            pooled, named = (functional.normalize(x, dim=-1) for x in (features.mean(dim=1), texts.mean(dim=0)))
            scores = scores + pooled @ named.T
        return self.backbone.logit_scale * scores


def openings(config: Config) -> list[str]:
    """The words before the class name, one text a prompt. Raises InvalidOption for an empty one."""
    if config.phrases:
        found = [phrase.strip() for phrase in config.phrases.split("|")]
        if not all(found) or any(brace in config.phrases for brace in "{}"):
            raise InvalidOption("Openings parted by |", f"found '{config.phrases}'", "For example: a photo | the photo")
        return found
    words = config.template.split("{}", 1)[0].split()
    return [" ".join([first, *words[1:]]) for first in FIRST_WORDS]
