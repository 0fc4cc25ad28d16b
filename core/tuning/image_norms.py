"""Methods that train the norms inside the image tower's blocks, on a copy of the tower."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from core.backbones.contract import Backbone
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, Task, augmentation_option
from core.tuning.option import option


@dataclass(frozen=True)
class NormsConfig(PromptConfig):
    """Options of methods that train words and the image tower's norms."""

    norms_rate: float = option(
        0.1, "Learning rate of the image tower's norms as a share of the words'; 0 leaves them.", bounds=(0.0, 10.0)
    )
    largest_gradient: float = option(
        1.0, "Longer gradients are shortened to this length; 0 leaves them.", bounds=(0.0, 1e6), advanced=True
    )
    learning_rate: float = option(0.032, "Step size after the warm-up.", bounds=(0.0, 100.0))
    warmup_epochs: int = option(5, "Epochs at the warm-up rate.", unit="epochs", bounds=(0, 1000), advanced=True)
    augmentation: str = augmentation_option("crop_flip")


class TunedNorms(LearnedWords):
    """Base of methods that learn words and the weights and biases of both norms of every image block.

    The backbone that such a method offers has its own copies of these norms and shares all else with the frozen one.
    Source: LASP (Bulat and Tzimiropoulos, 2023).
    """

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        # a tuple hides the backbone from the module: it is not saved
        self._tuned: tuple[Backbone, ...] = ()
        if config.norms_rate:
            blocks = [_with_own_norms(block) for block in task.backbone.image_blocks()]
            self._tuned = (task.backbone.with_image_blocks(blocks),)
            self.norms = nn.ModuleList([norm for block in blocks for norm in _norms(block)]).requires_grad_()

    @property
    def backbone(self) -> Backbone:
        return self._tuned[0] if self._tuned else self.task.backbone

    def over(self, backbone: Backbone) -> Self:
        other = super().over(backbone)
        other._tuned = (backbone,) if self._tuned else ()
        return other

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained" if config.norms_rate else "frozen"

    def parameter_groups(self) -> list[dict[str, Any]]:
        named = list(self.named_parameters())
        groups: list[dict[str, Any]] = [{"params": [p for name, p in named if not name.startswith("norms.")]}]
        if self._tuned:
            groups.append({"params": list(self.norms.parameters()), "multiplier": self.config.norms_rate})
        return groups

    def backward(self, terms: dict[str, Tensor]) -> None:
        super().backward(terms)
        if self.config.largest_gradient:
            clip_grad_norm_(self.parameters(), self.config.largest_gradient)


def _norms(block: nn.Module) -> Sequence[nn.Module]:
    """Both norms of a block: those that are its own children, none inside its attention."""
    return [part for part in block.children() if isinstance(part, nn.LayerNorm)]


def _with_own_norms(block: nn.Module) -> nn.Module:
    """The same block with copies of its norms; everything else is shared."""
    own = {id(tensor) for norm in _norms(block) for tensor in norm.parameters()}
    shared = {id(tensor): tensor for tensor in (*block.parameters(), *block.buffers()) if id(tensor) not in own}
    return copy.deepcopy(block, shared)
