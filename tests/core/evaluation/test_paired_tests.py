"""McNemar, sign-flips and Holm: worked numbers."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.paired_tests import holm, mcnemar_mid_p, sign_flip_p, unit_differences
from tests.core.evaluation.test_two_part import FIRST, SECOND


def test_mid_p_has_its_worked_number() -> None:
    assert mcnemar_mid_p(25, 12) == pytest.approx(0.03355244, abs=1e-8)
    assert mcnemar_mid_p(12, 25) == mcnemar_mid_p(25, 12)
    assert (mcnemar_mid_p(0, 0), mcnemar_mid_p(7, 7)) == (1.0, pytest.approx(1.0))
    with pytest.raises(InvalidInput, match="found -1 and 3"):
        mcnemar_mid_p(-1, 3)


def test_sign_flips_have_their_worked_number() -> None:
    d = unit_differences(FIRST, SECOND, np.arange(8))
    assert d.sum() / 8 == pytest.approx(0.375)
    assert sign_flip_p(d) == pytest.approx(0.078125, abs=1e-12)


def test_images_of_a_patient_are_flipped_together() -> None:
    right, wrong = np.ones((2, 30)), np.zeros((2, 30))
    d = unit_differences(right, wrong, np.arange(30) // 10)
    assert d.tolist() == [10, 10, 10]
    assert sign_flip_p(d) == pytest.approx(2 / 8)


def test_without_a_difference_the_p_is_1() -> None:
    assert sign_flip_p([0.0, 0.0]) == 1.0
    assert sign_flip_p([1.0, -1.0]) == 1.0


def test_drawn_flips_are_close_to_all_of_them_and_repeatable() -> None:
    d = np.random.default_rng(4).normal(0.5, 1, 15)
    drawn = sign_flip_p(d)
    signs = 1 - 2 * ((np.arange(2**15)[:, None] >> np.arange(15)) & 1)
    exact = (np.abs(signs @ d) >= abs(d.sum()) - 1e-12).mean()
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 9999))
    assert drawn == sign_flip_p(d)
    assert sign_flip_p(np.ones(40)) == 1 / 10000


def test_holm_has_its_worked_numbers() -> None:
    # sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, never falling: 0.04, 0.06, 0.06, 0.5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        holm([0.5, float("nan")])
