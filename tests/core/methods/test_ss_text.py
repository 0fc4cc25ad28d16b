"""SS-Text's worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.tuning.data import TensorData
from core.tuning.loop import fit
from tests.core.methods.toy import IMAGES, LABELS, query_logits, toy, toy_data

SS = {"text_weight": "none", "repulsion": False}
SS_TEXT = {"text_weight": "shots", "repulsion": False}
PLUS = {"repulsion": False}


@pytest.mark.parametrize(
    ("options", "images", "expected"),
    [
        (SS, 4, (7.636753, 8.768124)),
        (SS_TEXT, 4, (7.602975, 8.910100)),
        (PLUS, 4, (7.563396, 9.030619)),
        ({}, 4, (7.764828, 9.152754)),
        (PLUS, 2, (7.602975, 8.0)),
        ({}, 2, (7.606883, 9.150034)),
    ],
)
def test_scores_are_the_worked_ones(options: dict[str, Any], images: int, expected: tuple[float, float]) -> None:
    method = toy("ss_text", **options)
    fit(method, toy_data(images), seed=0)
    assert query_logits(method) == pytest.approx(expected, abs=1e-4)


def test_the_order_of_images_changes_nothing() -> None:
    one, other = toy("ss_text"), toy("ss_text")
    fit(one, toy_data(), seed=0)
    fit(other, TensorData(LABELS.flip(0), [[0, 1, 2, 3]], features=IMAGES.flip(0)), seed=0)
    assert torch.allclose(one.weight, other.weight, atol=1e-6)


@pytest.mark.parametrize("how", ["shots", "class_shots", "performance", "constant", "none"])
def test_a_class_without_images_keeps_its_sentence(how: str) -> None:
    method = toy("ss_text", text_weight=how, repulsion=False)
    fit(method, toy_data(2), seed=0)
    assert method.weight[1].tolist() == pytest.approx([0.6, 0.8, 0.0])
