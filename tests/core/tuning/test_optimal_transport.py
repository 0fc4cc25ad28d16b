"""The worked numbers of optimal transport."""

from __future__ import annotations

import pytest
import torch

from core.tuning import optimal_transport
from core.tuning.optimal_transport import transport_plan, transport_scores

SIMILARITY = torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.8, 0.4]], dtype=torch.float64)


def test_the_worked_example() -> None:
    plan = transport_plan(SIMILARITY)
    expected = [[0.333288, 0.083098, 0.083098], [0.000046, 0.250235, 0.250235]]
    torch.testing.assert_close(plan, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)
    assert plan.sum(dim=1).tolist() == pytest.approx([0.499484, 0.500516], abs=1e-6)
    assert plan.sum(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=1e-12)
    assert float((plan * SIMILARITY).sum()) == pytest.approx(0.650109, abs=1e-6)


@pytest.mark.parametrize(("bound", "stops"), [(12, False), (13, True)])
def test_the_worked_example_stops_after_thirteen_iterations(
    bound: int, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = transport_plan(SIMILARITY)
    monkeypatch.setattr(optimal_transport, "MOST_ITERATIONS", bound)
    assert torch.equal(transport_plan(SIMILARITY), whole) is stops


def test_each_problem_stops_by_itself_unless_told_otherwise() -> None:
    other = torch.tensor([[0.3, 0.2, 0.1], [0.2, 0.3, 0.4]], dtype=torch.float64)
    both = torch.stack([SIMILARITY, other])
    assert torch.equal(transport_plan(both)[0], transport_plan(SIMILARITY))
    assert not torch.equal(transport_plan(both, stop_together=True)[0], transport_plan(SIMILARITY))


def test_equal_rows_are_spread_evenly() -> None:
    plan = transport_plan(torch.tensor([[0.4, 0.4], [0.4, 0.4], [0.4, 0.4]]))
    torch.testing.assert_close(plan, torch.full((3, 2), 1 / 6))


def test_one_vector_against_one_is_the_cosine() -> None:
    images, texts = torch.nn.functional.normalize(torch.randn(2, 5, 1, 8), dim=-1)
    texts = texts.transpose(0, 1)
    torch.testing.assert_close(transport_scores(images, texts), images[:, 0] @ texts[0].T, atol=1e-6, rtol=0)


def test_far_sets_stay_finite_in_single_precision() -> None:
    plan = transport_plan(torch.tensor([[1.0, -1.0], [-1.0, -1.0]]))
    assert bool(plan.isfinite().all())
    assert plan.sum(dim=0).tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
