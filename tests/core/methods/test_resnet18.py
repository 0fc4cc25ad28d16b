"""ResNet-18's worked numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from core.tuning.contract import Batch
from core.tuning.loop import learning_rate
from core.tuning.registry import get_method
from tests.core.tuning.test_every_method import build

FOUR = ("a", "b", "c", "d")


def test_four_classes_train_as_many_numbers_as_specified_and_start_undecided() -> None:
    method: Any = build("resnet18", FOUR)
    assert sum(p.numel() for p in method.parameters() if p.requires_grad) == 11_178_564
    batch = Batch(torch.tensor([0, 3]), pixels=torch.randn(2, 3, 32, 32))
    assert method.loss_terms(batch)["cross_entropy"].item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-3), (500, 5e-4), (999, 2.4674e-9)])
def test_the_rate_falls_over_a_thousand_steps(step: int, rate: float) -> None:
    config: Any = get_method("resnet18").Config()
    # 64 images make two steps of 32 an epoch
    settled = config.settled(64, 4)
    assert settled.epochs == 500
    assert learning_rate(settled, step // 2, step % 2, 2) == pytest.approx(rate, rel=1e-4)


def test_the_published_rate_falls_to_a_tenth_at_half_and_three_quarters() -> None:
    kind = get_method("resnet18")
    config: Any = kind.Config.from_values(kind.variants["reference"])
    found = [learning_rate(config, epoch, 0, 5) for epoch in (0, 49, 50, 74, 75, 99)]
    assert found == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_norms_keep_their_statistics_with_weights_from_a_folder_alone() -> None:
    def following(**options: Any) -> bool:
        kind = get_method("resnet18")
        method: Any = kind(kind.Config.from_values({"size_px": 32} | options), build("resnet18").task).train()
        return next(m for m in method.net.modules() if isinstance(m, nn.BatchNorm2d)).training

    found = [following(**options) for options in ({}, {"encoder": "x", "batch_norm": "updated"})]
    assert found == [True, True]
    found = [following(**options) for options in ({"encoder": "x"}, {"batch_norm": "frozen"})]
    assert found == [False, False]


def test_trunk_and_vectors_have_their_own_rates_and_decay() -> None:
    for options, trunk in (({}, 1.0), ({"encoder": "x"}, 0.1), ({"trunk_rate": 0.5}, 0.5)):
        kind = get_method("resnet18")
        method = kind(kind.Config.from_values(options), build("resnet18").task)
        groups = method.parameter_groups()
        assert [(group["multiplier"], group.get("weight_decay")) for group in groups] == [
            (1.0, None),
            (1.0, 0.0),
            (trunk, None),
            (trunk, 0.0),
        ]
        assert [sum(p.numel() for p in group["params"]) for group in groups] == [1536, 3, 11_166_912, 9_600]
