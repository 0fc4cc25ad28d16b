"""A tower that says it has the widths of a published one, for counts of what is learned."""

from __future__ import annotations

from typing import Any

import torch

from core.descriptions.templates import template_descriptions
from core.tuning.contract import Task
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import CLASSES


class WideTower:
    """The tiny backbone with other widths: embeddings are zeros of them, features of texts too."""

    def __init__(self, **sizes: int) -> None:
        self.__dict__.update(sizes)

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, self.text_width)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.ones(len(texts), self.joint_width)

    def __getattr__(self, name: str) -> Any:
        return getattr(tiny_backbone(), name)


def wide_task(**sizes: int) -> Task:
    """The task of three classes on such a tower."""
    return Task(WideTower(**sizes), CLASSES, template_descriptions(CLASSES))  # type: ignore[arg-type]
