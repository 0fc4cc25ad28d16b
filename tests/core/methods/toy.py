"""The two-class example in three dimensions on which the simple baselines' worked numbers stand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.descriptions.templates import template_descriptions
from core.tuning.contract import Method, Task
from core.tuning.data import TensorData
from core.tuning.registry import get_method

CLASSES = ("disc", "ring")
TEXTS = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
IMAGES = torch.tensor([[0.8, 0.0, 0.6], [0.6, 0.0, 0.8], [0.0, 0.8, 0.6], [0.0, 0.6, 0.8]])
LABELS = torch.tensor([0, 0, 1, 1])
QUERY = torch.tensor([[0.48, 0.64, 0.6]])
SCALE = 10.0


class ToyTask(Task):
    """A task whose sentences have the features of the example."""

    def template_features(self, template: str) -> Tensor:
        return TEXTS.clone()

    def template_norms(self, template: str) -> Tensor:
        return torch.full((2, 1), 3.0)


def toy(name: str, **options: Any) -> Method:
    """A method on the example."""
    backbone = SimpleNamespace(joint_width=3, logit_scale=torch.tensor(SCALE), device=torch.device("cpu"))
    method = get_method(name)
    task = ToyTask(cast(Backbone, backbone), CLASSES, template_descriptions(CLASSES))
    return method(method.Config.from_values(options), task)


def toy_data(images: int = 4, **more: Any) -> TensorData:
    """The first images of the example, as one batch."""
    return TensorData(LABELS[:images], [list(range(images))], features=IMAGES[:images], **more)


def query_logits(method: Method) -> list[float]:
    """Scores of the example's query."""
    with torch.no_grad():
        return cast(list[float], method.logits(QUERY)[0].tolist())
