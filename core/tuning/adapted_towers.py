"""Methods that change weights of the towers: the changed ones belong to the method, the backbone stays as it is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import Backbone, PartlyEncoded
from core.backbones.weight_places import Matrix
from core.tuning.contract import ImagePath, LoopConfig, Method, Task, augmentation_option
from core.tuning.option import option

TUNED = ("both", "image", "text")


@dataclass(frozen=True)
class AdaptedConfig(LoopConfig):
    """Options of methods that change weights of the towers."""

    tuned: str = option("both", "Whose weights are changed.", choices=TUNED)
    text_dropout: bool = option(False, "The text tower's own dropout is active while training.", advanced=True)
    drop_last: bool = option(
        False, "Images that fill no batch are left out of an epoch, others in each.", advanced=True
    )
    optimizer: str = option("adamw", "Update rule.", choices=("sgd", "adam", "adamw"), advanced=True)
    augmentation: str = augmentation_option("crop_flip")

    def changes(self, tower: str) -> bool:
        """Whether weights of the "image" or the "text" tower are changed."""
        return self.tuned in ("both", tower)


@dataclass(frozen=True)
class SmoothlyAdaptedConfig(AdaptedConfig):
    """Those of methods whose learning rate falls step by step."""

    schedule: str = option(
        "cosine_by_step",
        "Course of the learning rate: by epoch with a warm-up, by step, swinging, or none.",
        choices=("cosine", "cosine_by_step", "cosine_swing", "constant"),
        advanced=True,
    )
    final_rate: float = option(1e-6, "Learning rate that the course ends at.", bounds=(0.0, 1.0), advanced=True)


class AdaptedTowers(Method):
    """Base of methods with weights of their own in the towers; scores are scaled cosines with the template's texts.

    While it learns, `place` is called before each pass with what is learned in the graph; afterwards once, without.
    """

    needs = frozenset({"template"})
    renames_classes = True

    _ids: Tensor
    _mask: Tensor

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self._own = task.backbone.with_own_weights()
        self._matrices = self._own.matrices()
        found = task.backbone.tokenize([config.template.format(name) for name in task.classes])
        self.register_buffer("_ids", found.ids, persistent=False)
        self.register_buffer("_mask", found.mask, persistent=False)
        self._placed: tuple[int, ...] | None = None

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    @property
    def backbone(self) -> Backbone:
        """The encoder with the method's weights in it; the task's own is shared and untouched."""
        return self._own

    def over(self, backbone: Backbone) -> Self:
        other = super().over(backbone)
        other._own = backbone
        return other

    @property
    def changed_matrices(self) -> list[Matrix]:
        """Matrices of the towers that these options change."""
        return [matrix for matrix in self._matrices if self.config.changes(matrix.tower)]

    @abstractmethod
    def place(self, tower: str | None, learning: bool) -> None:
        """Put the method's weights into its backbone. tower: of the pass that follows; None: both."""

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if not mode:
            self._place_for_use()
        return self

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        self._place("image")
        return functional.normalize(self._own.encode_images(pixels), dim=-1)

    def class_features(self) -> Tensor:
        self._place("text")
        dropout = self.training and self.config.text_dropout
        found = self._own.encode_text(self._own.embed_tokens(self._ids), self._mask, dropout=dropout)
        return functional.normalize(found, dim=-1)

    def _place(self, tower: str) -> None:
        if self.training and torch.is_grad_enabled():
            self._placed = None
            self.place(tower, learning=True)
        else:
            self._place_for_use()

    def _place_for_use(self) -> None:
        """Once for what is learned now. Never in inference mode: explanations need gradients through what is placed."""
        known = tuple(parameter._version for parameter in self.parameters())
        if known != self._placed:
            with torch.inference_mode(False), torch.no_grad():
                self.place(None, learning=False)
            self._placed = known
