"""Several learned contexts for the same classes, read by the text tower in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InvalidOption
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, augmentation_option
from core.tuning.option import option
from core.tuning.text_context import TextContext


class ContextSets(nn.ModuleList):
    """Contexts with equally many tokens. Raises InvalidOption where their openings differ in length."""

    def __init__(self, contexts: Iterable[TextContext]) -> None:
        super().__init__(contexts)
        lengths = {(int(context._mask[0].sum()), context.n) for context in self._all}
        if len(lengths) > 1:
            found = ", ".join(f"'{context._words}' {context.n}" for context in self._all)
            raise InvalidOption(
                "All openings of a class have equally many tokens", f"found {found}", "Choose others, or fewer words."
            )

    @property
    def _all(self) -> list[TextContext]:
        return cast("list[TextContext]", list(self))

    def raw_features(self, dropout: bool = False) -> Tensor:
        """Text features (sets, classes, joint_width), not normalised."""
        prompts = [context.prompts() for context in self._all]
        embeds, mask = (torch.cat(parts) for parts in zip(*prompts, strict=True))
        found = self._all[0].backbone.encode_text(embeds, mask, dropout=dropout)
        return found.unflatten(0, (len(self), -1))

    def features(self, dropout: bool = False) -> Tensor:
        """Unit-norm text features (sets, classes, joint_width)."""
        return functional.normalize(self.raw_features(dropout), dim=-1)


@dataclass(frozen=True)
class MatchedConfig(PromptConfig):
    """Options of methods that match several prompts with several features of a picture."""

    stop_together: bool = option(False, "The matching stops for a whole batch at once, as published.", advanced=True)
    augmentation: str = augmentation_option("crop_flip")


class MatchedPrompts(LearnedWords):
    """Base of these methods: several features of a picture are kept, so that its path counts as trained.

    contexts: set by the method.
    """

    contexts: ContextSets

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    def class_features(self) -> Tensor:
        """Of the mean over a class's prompts."""
        return functional.normalize(self.contexts.raw_features(self.drops_text).mean(dim=0), dim=-1)
