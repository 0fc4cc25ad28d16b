"""The harmonic mean of base and novel classes: worked numbers, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.harmonic_mean import (
    H1,
    H2,
    harmonic_mean,
    harmonic_means_over_sets,
    harmonic_measured,
    harmonic_two_part,
)
from core.evaluation.paired import difference, differences
from core.evaluation.pseudo_values import Measured, measure
from core.evaluation.two_part import components
from tests.core.evaluation.test_simulated_claims import BATCH, SPREADS, answers
from tests.core.evaluation.test_two_part import made_up


def exactly(share: float, seeds: int = 3, n: int = 50, prefix: str = "b") -> Measured:
    """A method that is right on exactly this share of n images, other ones with each seed."""
    wrong = np.array([np.roll(np.arange(n) >= round(share * n), s) for s in range(seeds)]).astype(int)
    names = [f"{prefix}{at:03}" for at in range(n)]
    return measure("accuracy", np.zeros(n, dtype=int), predicted=wrong, images=names)


def test_both_means_have_their_worked_numbers() -> None:
    found = harmonic_means_over_sets(
        [(exactly(0.9), exactly(0.5, prefix="n")), (exactly(0.6), exactly(0.8, prefix="n"))]
    )
    assert found[H1].mean == pytest.approx(0.664286, abs=1e-6)
    assert found[H2].mean == pytest.approx(0.696429, abs=1e-6)
    assert (H1, H2) == ("H1, mean of harmonic means", "H2, harmonic mean of the means")


def test_the_harmonic_mean_of_the_means_is_never_the_smaller_one() -> None:
    b, v = np.random.default_rng(0).random((2, 200, 4))
    assert (harmonic_mean(b.mean(axis=1), v.mean(axis=1)) >= harmonic_mean(b, v).mean(axis=1)).all()


def test_a_half_at_zero_makes_it_zero() -> None:
    assert harmonic_mean([0.0, 0.0, 1.0], [0.0, 0.7, 1.0]).tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(InvalidInput, match="0 or more"):
        harmonic_mean(-0.1, 0.5)
    found = harmonic_two_part(exactly(0.0), exactly(0.0, prefix="n"))
    assert (found.mean, found.interval().interval) == (0.0, "none: base and novel classes are both at 0")


def test_its_spread_follows_from_both_halves() -> None:
    base, novel = exactly(0.8, 5, 60), exactly(0.6, 5, 40, "n")
    found = harmonic_two_part(base, novel)
    b, v = base.mean, novel.mean
    slopes = 2 * v**2 / (b + v) ** 2, 2 * b**2 / (b + v) ** 2
    assert found.mean == pytest.approx(2 * b * v / (b + v))
    linear = slopes[0] * base.per_seed + slopes[1] * novel.per_seed
    assert found.v_draws == pytest.approx(linear.var(ddof=1) / 5, abs=1e-12)
    # images of the two halves are independent: their variances add, up to (n - 1) / n of leaving one out
    assert found.v_cases > 0
    known = sum(slope**2 * components(half.values)[2] for slope, half in zip(slopes, (base, novel), strict=True))
    assert found.v_cases == pytest.approx(known, rel=0.03)
    assert (found.n_units, found.interval().interval) == (100, "95% two-part over 5 seeds and 100 images")


def test_patients_with_base_and_novel_images_count_once() -> None:
    groups = [f"p{at // 2}" for at in range(60)]
    base = made_up(0.8, seed=1, groups=groups)
    found = harmonic_two_part(base, base)
    assert found.n_units == 30
    # H of a number with itself is the number, and so is its spread
    assert (found.mean, found.v_draws) == pytest.approx((base.mean, components(base.values)[1]))
    assert found.v_cases == pytest.approx(components(base.values)[2])


def test_halves_of_other_seeds_have_no_interval() -> None:
    found = harmonic_two_part(exactly(0.9, seeds=3), exactly(0.5, seeds=2, prefix="n"))
    assert found.interval().interval == "none: base and novel classes were not measured with the same seeds"


def test_two_methods_are_held_against_each_other_by_their_harmonic_means() -> None:
    def slopes(base: Measured, novel: Measured) -> tuple[float, float]:
        together = (base.mean + novel.mean) ** 2
        return 2 * novel.mean**2 / together, 2 * base.mean**2 / together

    ours = made_up(0.8, 5, 60, images=[f"b{at}" for at in range(60)]), exactly(0.6, 5, 40, "n")
    theirs = made_up(0.7, 5, 60, 1, images=[f"b{at}" for at in range(60)]), exactly(0.7, 5, 40, "n")
    first, second = harmonic_measured(*ours), harmonic_measured(*theirs)
    found = difference(first, second)
    assert found.mean == pytest.approx(harmonic_two_part(*ours).mean - harmonic_two_part(*theirs).mean, abs=1e-12)
    of_seeds = [sum(s * half.per_seed for s, half in zip(slopes(*each), each, strict=True)) for each in (ours, theirs)]
    assert found.v_draws == pytest.approx(np.var(of_seeds[0] - of_seeds[1], ddof=1) / 5, abs=1e-12)
    assert (found.n_units, found.kind, found.n_seeds) == (100, "images", 5)
    assert difference(first, first).unknown, "nothing varies between a method and itself"
    assert difference(first, harmonic_measured(ours[0], exactly(0.6, 5, 30, "n"))).why.startswith("one was measured on")


@pytest.mark.slow
@pytest.mark.parametrize("per_patient", [1, 5])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spread", SPREADS)
def test_two_equally_good_methods_are_rarely_called_different_by_it(spread: str, seeds: int, per_patient: int) -> None:
    """False claims in 2,000 worlds of 200 images; patients have images in both halves. 5 % are known to 0.5 %."""
    draw, n, half = np.random.default_rng(seeds), 200, np.arange(200) % 2 == 0
    patient = np.arange(n) // per_patient
    claims = []
    for _ in range(20):
        right = answers(SPREADS[spread], n, seeds, patient, draw)
        for world in right.reshape(BATCH, 2, seeds, n):
            sides = []
            for method in world:
                parts = [
                    measure(
                        "accuracy",
                        np.zeros(int(own.sum()), dtype=int),
                        predicted=(~method[:, own]).astype(int),
                        groups=[f"p{at}" for at in patient[own]] if per_patient > 1 else None,
                        images=[f"{at:03}" for at in np.flatnonzero(own)],
                    )
                    for own in (half, ~half)
                ]
                sides.append(harmonic_measured(parts[0], parts[1]))
            claims.append((sides[0], sides[1]))
    p = [found.p_value() for found in differences(claims)]
    assert np.mean([each is not None and each < 0.05 for each in p]) <= 0.06
