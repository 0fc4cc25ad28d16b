"""The feature of each training image that caches and probes stand on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.support import SupportConfig, support_features
from tests.core.tuning.test_every_method import build


class TwoViews(TensorData):
    """Two images whose views 0 and 1 of the augmentation "mild" are given; the centre view is a third."""

    def __init__(self) -> None:
        super().__init__(torch.tensor([0, 1]), [])

    def train_features(self, augmentation: str = "center", view: int = 0) -> Tensor:
        if augmentation == "center":
            return torch.tensor([[0.0, 1.0], [0.0, 1.0]])
        return torch.tensor([[[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [0.6, 0.8]]])[view]


def test_several_views_are_averaged_and_brought_to_unit_norm() -> None:
    data = TwoViews()
    half = 0.5**0.5
    assert support_features(data, SupportConfig(support_view="mild", support_views=2)).flatten().tolist() == (
        pytest.approx([half, half, 0.6, 0.8])
    )
    assert support_features(data, SupportConfig(support_view="mild")).tolist() == [
        [1.0, 0.0],
        pytest.approx([0.6, 0.8]),
    ]


def test_the_centre_view_is_one_however_many_are_asked_for() -> None:
    assert support_features(TwoViews(), SupportConfig(support_views=10)).tolist() == [[0.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize("name", ["linear_probe", "lp_plus_plus", "tip_adapter", "tip_adapter_f"])
def test_probes_and_caches_ask_for_as_many_views_as_their_option_says(name: str) -> None:
    asked: list[tuple[str, int]] = []

    class Listening(TensorData):
        def train_features(self, augmentation: str = "center", view: int = 0) -> Tensor:
            asked.append((augmentation, view))
            return super().train_features(augmentation, view)

    method = build(name, support_view="mild", support_views=3)
    features = torch.eye(method.backbone.joint_width)[:6]
    fit(method, Listening(torch.arange(3).repeat(2), [[0, 1, 2, 3, 4, 5]], features=features), seed=0)
    assert set(asked) == {("mild", 0), ("mild", 1), ("mild", 2)}
