"""Joint prediction: worked numbers, and what it may not depend on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.errors import TooFewImages
from core.tuning.transduction import Shots, check_pool, nearest, scarce_classes, transduce
from tests.core.methods.toy import IMAGES, QUERY, SCALE, TEXTS

POOL = torch.cat([IMAGES, QUERY, torch.tensor([[0.64, 0.48, 0.6]])])
SHOTS = Shots(torch.tensor([[0.96, 0.0, 0.28], [0.0, 0.96, 0.28]]), torch.tensor([0, 1]))


def given() -> Tensor:
    """Zero-shot probabilities of the pool."""
    return (SCALE * POOL @ TEXTS.T).softmax(dim=-1)


def test_the_given_answers_are_the_worked_ones() -> None:
    assert given()[0].tolist() == pytest.approx([0.960834, 0.039166], abs=1e-5)
    assert given()[5].tolist() == pytest.approx([0.21755, 0.78245], abs=1e-5)


def test_refined_answers_are_the_worked_ones() -> None:
    found = transduce(POOL, given())
    assert found[0].tolist() == pytest.approx([0.967951, 0.032049], abs=1e-5)
    assert found[4].tolist() == pytest.approx([0.020039, 0.979961], abs=1e-5)
    assert found[5].tolist() == pytest.approx([0.203422, 0.796578], abs=1e-5)


def test_answers_refined_with_shots_are_the_worked_ones() -> None:
    found = transduce(POOL, given(), SHOTS)
    assert found[0].tolist() == pytest.approx([0.881260, 0.118740], abs=1e-5)
    assert found[4].tolist() == pytest.approx([0.092842, 0.907158], abs=1e-5)


def test_the_nearest_leave_the_image_itself_out() -> None:
    links = nearest(POOL.double(), POOL.double(), own=True)
    assert links.places[0].tolist() == [1, 5, 4]
    assert links.cosines[0].tolist() == pytest.approx([0.96, 0.872, 0.744])


def test_the_order_of_the_folder_orders_the_answers() -> None:
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(transduce(POOL[order], given()[order]), transduce(POOL, given())[order], atol=1e-9)


def test_what_was_given_is_not_changed() -> None:
    probabilities = given()
    transduce(POOL, probabilities)
    assert torch.equal(probabilities, given())


def test_a_folder_of_equal_images_has_finite_answers() -> None:
    found = transduce(POOL[:1].expand(40, -1), given()[:1].expand(40, -1))
    assert bool(found.isfinite().all())
    assert torch.allclose(found.sum(dim=-1), torch.ones(40).double())


def test_few_images_are_refused_in_words() -> None:
    check_pool(12, 3)
    with pytest.raises(TooFewImages, match="at least 12 images"):
        check_pool(11, 3)


def test_a_class_that_hardly_shows_is_named() -> None:
    probabilities = torch.tensor([[0.9, 0.05, 0.05]]).repeat(100, 1)
    probabilities[0] = torch.tensor([0.1, 0.8, 0.1])
    assert scarce_classes(probabilities) == [1, 2]
