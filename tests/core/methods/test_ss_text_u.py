"""SS-Text-U's worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.errors import InvalidOption
from core.tuning.loop import fit
from core.tuning.optimal_transport import shared_out
from core.tuning.registry import get_method
from tests.core.methods.toy import TEXTS, query_logits, toy, toy_data

POOL = torch.tensor([[0.48, 0.64, 0.6], [0.8, 0.6, 0.0], [0.64, 0.48, 0.6]])


def fitted(images: int = 4, **options: Any) -> Any:
    method: Any = toy("ss_text_u", **options)
    fit(method, toy_data(images, unlabelled=POOL), seed=0)
    return method


@pytest.mark.parametrize(
    ("options", "images", "expected"),
    [
        ({"rounds": 1, "sinkhorn_steps": 1}, 4, (8.733512, 9.910159)),
        ({}, 4, (8.804170, 9.887716)),
        ({}, 2, (8.934304, 8.435535)),
    ],
)
def test_scores_are_the_worked_ones(options: dict[str, Any], images: int, expected: tuple[float, float]) -> None:
    assert query_logits(fitted(images, **options)) == pytest.approx(expected, abs=1e-4)


def test_the_first_shares_are_the_worked_ones() -> None:
    expected = torch.tensor([[0.179718, 0.820282], [0.520424, 0.479576], [0.599106, 0.400894]])
    found = shared_out(10 * POOL @ TEXTS.T, torch.tensor([0.5, 0.5]), 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_rows_stay_distributions_and_columns_get_what_is_expected() -> None:
    scores = 100 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    shares = shared_out(scores, torch.tensor([0.6, 0.3, 0.1]), 1000)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(40))
    torch.testing.assert_close(shares.mean(dim=0), torch.tensor([0.6, 0.3, 0.1]), atol=1e-3, rtol=0)
    alone = shared_out(scores, torch.tensor([0.6, 0.3, 0.1]), 0)
    torch.testing.assert_close(alone, scores.softmax(dim=1), atol=1e-6, rtol=0)


def test_without_unlabelled_images_shots_alone_are_added() -> None:
    method: Any = toy("ss_text_u")
    fit(method, toy_data(), seed=0)
    # t + scale n_c / (2 N) x the sum of the class's images
    torch.testing.assert_close(method.weight[0], TEXTS[0] + 2.5 * torch.tensor([1.4, 0.0, 1.4]))


def test_a_class_without_shots_is_expected_four_times_rarer() -> None:
    method = fitted(2)
    assert method._expected(torch.tensor([2.0, 0.0])).tolist() == pytest.approx([0.8, 0.2])
    stated: Any = toy("ss_text_u", frequencies="3, 1")
    assert stated._expected(torch.tensor([2.0, 0.0])).tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("given", ["0.5", "0.5, 0.5, 0.5", "a, b", "0, 1", "-1, 2", "inf, 1"])
def test_frequencies_are_one_number_a_class(given: str) -> None:
    config = get_method("ss_text_u").Config.from_values({"frequencies": given})
    with pytest.raises(InvalidOption, match="'frequencies' are 2 numbers above 0, one for each class"):
        config.settled(4, 2)


def test_shares_that_look_other_than_expected_are_told() -> None:
    (said,) = fitted(frequencies="0.97, 0.03").remarks()
    assert said.startswith(
        "Shares among the unlabelled images look other than expected: 'disc' 14% by the sentences, expected 97%"
    )
    assert fitted(frequencies="0.3, 0.7").remarks() == []
