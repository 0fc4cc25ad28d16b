"""What a printed harmonic mean is."""

from __future__ import annotations

from core.evaluation.listed_mean import NAMED_HARMONIC_BUT_ARITHMETIC, name_of_listed_mean


def test_a_published_mean_is_named() -> None:
    assert name_of_listed_mean(80.47, 71.69, 75.83) == ""
    assert name_of_listed_mean(80.47, 71.69, 76.08) == NAMED_HARMONIC_BUT_ARITHMETIC
    assert name_of_listed_mean(80.47, 71.69, 78.0) == "is neither the harmonic (75.83) nor the arithmetic mean"
    assert name_of_listed_mean(80.5, 71.7, 75.8, decimals=1) == ""
    assert name_of_listed_mean(0, 0, 0) == ""
