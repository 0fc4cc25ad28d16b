"""AAPL's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.backbones.contract import Preprocessing
from core.methods.aapl import attribute_triplet
from core.tuning.contract import Batch
from core.tuning.pixel_changes import PIXEL_CHANGES, RAW, change_pixels
from core.tuning.registry import get_method
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import build, data_for

HALVES = Preprocessing(size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values])


def test_the_worked_triplet() -> None:
    found = attribute_triplet(row(1, 0), row(0.9, 0.1), row(0.2, 0.5), row(0, 1))
    assert found.tolist() == pytest.approx([1.07 + 1.53])


def test_pictures_and_changes_swapped_together_leave_the_triplet() -> None:
    parts = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
    one_a, one_b, two_a, two_b = parts
    torch.testing.assert_close(attribute_triplet(two_b, two_a, one_b, one_a), attribute_triplet(*parts))


@pytest.mark.parametrize(("text_width", "expected"), [(512, 35_360), (768, 44_832)])
def test_the_published_widths_give_the_published_size(text_width: int, expected: int) -> None:
    kind = get_method("aapl")
    method = kind(kind.Config(), wide_task(text_width=text_width, joint_width=512))
    assert sum(p.numel() for p in method.parameters()) == expected


def test_a_network_that_says_nothing_makes_it_coop() -> None:
    method, plain = build("aapl", random_start=False), build("coop")
    torch.nn.init.zeros_(method.meta_net[2].weight)
    torch.nn.init.zeros_(method.meta_net[2].bias)
    data = data_for(method)
    with torch.no_grad():
        found, known = (m.logits(data.train_features()) for m in (method, plain))
    torch.testing.assert_close(found, known, atol=1e-4, rtol=0)


def test_the_triplet_trains_the_network_alone_and_a_partner_is_of_another_class() -> None:
    method = build("aapl")
    data = data_for(method)
    method.prepare(data)
    for label in range(3):
        assert {int(data.labels[method._partner(label)]) for _ in range(40)} == {0, 1, 2} - {label}
    views = {name: torch.randn(12, method.backbone.joint_width) for name in method.extra_views}
    batch = Batch(data.labels, features=data.train_features(), views=views)
    method.loss_terms(batch)["attributes"].backward()
    assert method.context.vectors.grad is None
    assert bool(method.meta_net[2].weight.grad.any())


@pytest.mark.parametrize("name", PIXEL_CHANGES)
def test_every_change_gives_another_picture_within_the_grey_levels(name: str) -> None:
    pixels = 2 * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1)) - 1
    found, again = (change_pixels(name, pixels, HALVES, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(found, again)
    assert found.shape == pixels.shape
    assert not torch.equal(found, pixels)
    assert -1 <= float(found.min()) <= float(found.max()) <= 1


def test_published_colours_lose_all_below_the_mean() -> None:
    pixels = 2 * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1)) - 1
    found = change_pixels("jitter-colour" + RAW, pixels, HALVES, torch.Generator().manual_seed(2))
    assert float(found.min()) >= 0
    assert float(change_pixels("jitter-colour", pixels, HALVES, torch.Generator().manual_seed(2)).min()) < 0
