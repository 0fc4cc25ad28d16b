"""The two-part interval and its p: worked numbers, what it says where little is known, and pairs of methods."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.intervals import method_claim, model_claim
from core.evaluation.paired import difference
from core.evaluation.pseudo_values import Measured, measure
from core.evaluation.two_part import (
    TwoPart,
    components,
    half_width,
    mean_over_sets,
    of_measured,
    of_measured_rows,
    p_values,
    two_part,
    two_part_p,
)


def table(*rows: str) -> np.ndarray:
    return np.array([[float(digit) for digit in row] for row in rows])


FIRST = table("11011011", "10011001", "11111011")
SECOND = table("01010010", "10001000", "01010100")


def made_up(share: float, seeds: int = 3, n: int = 60, seed: int = 0, **changes: object) -> Measured:
    """Accuracy of a method that is right with probability `share`, on images of one class."""
    wrong = (np.random.default_rng(seed).random((seeds, n)) >= share).astype(int)
    return measure("accuracy", np.zeros(n, dtype=int), predicted=wrong, **changes)  # type: ignore[arg-type]


def test_the_interval_has_its_worked_number() -> None:
    found = two_part(FIRST)
    assert found.mean == pytest.approx(0.708333, abs=1e-6)
    assert found.v_draws == pytest.approx(0.0121528, abs=1e-7)
    assert found.v_cases == pytest.approx(0.0133929, abs=1e-7)
    assert found.half_width() == pytest.approx(0.547602, abs=1e-6)
    assert found.half_width(satterthwaite=True) == pytest.approx(0.383130, abs=1e-6)
    assert found.from_draws == pytest.approx(np.sqrt(0.0121528), abs=1e-6)
    assert found.from_patients == pytest.approx(np.sqrt(0.0133929), abs=1e-6)


def test_the_p_of_a_difference_has_its_worked_number() -> None:
    found = two_part(FIRST - SECOND)
    assert found.mean == pytest.approx(0.375)
    assert (found.v_draws, found.v_cases) == pytest.approx((0.00520833, 0.01041667), abs=1e-8)
    assert found.two_sided_p() == pytest.approx(0.0556259, abs=1e-7)
    assert found.two_sided_p(satterthwaite=True) == pytest.approx(0.0161520, abs=1e-7)


def test_p_and_interval_agree_at_every_level() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        found = two_part(draw.normal(0.3, 1, size=(4, 40)))
        p = found.p_value()
        assert found.half_width(p) == pytest.approx(abs(found.mean), rel=1e-6)
        low = found.interval(1 - p).low
        assert min(abs(low), abs(found.interval(1 - p).high)) == pytest.approx(0, abs=1e-6)


def test_without_one_part_the_p_is_students() -> None:
    from scipy.stats import t

    assert two_part_p(0.3, 0.01, 0.0, 4, 99) == pytest.approx(2 * t.sf(3, 4), rel=1e-9)
    assert two_part_p(0.3, 0.0, 0.01, 4, 99) == pytest.approx(2 * t.sf(3, 99), rel=1e-9)
    assert half_width(0.0, 0.01, 4, 99) == pytest.approx(t.ppf(0.975, 99) * 0.1)
    assert two_part_p([0.0, 9.0], 1e-6, 1e-6, 50, 99).tolist() == pytest.approx([1.0, 1e-30])


def test_components_of_many_tables_are_those_of_each() -> None:
    many = np.random.default_rng(1).normal(size=(5, 3, 12))
    mean, draws, cases, _ = components(many)
    for at in range(5):
        covariance = np.cov(many[at]) / 12
        assert mean[at] == pytest.approx(many[at].mean())
        assert draws[at] == pytest.approx(many[at].mean(axis=1).var(ddof=1) / 3)
        assert cases[at] == pytest.approx(max(0, (covariance.sum() - np.trace(covariance)) / 6))


def test_one_seed_speaks_of_the_trained_model() -> None:
    found = two_part(made_up(0.8, 1).values)
    shown = found.interval()
    values = made_up(0.8, 1).values[0]
    assert (found.from_draws, shown.over, shown.claim) == (None, "images", model_claim("images"))
    assert shown.high - shown.mean == pytest.approx(2.0009954 * values.std(ddof=1) / np.sqrt(60), rel=1e-6)
    assert shown.interval == "95% jackknife over 60 images"


def test_several_seeds_speak_of_the_method() -> None:
    shown = of_measured(made_up(0.8)).interval()
    assert (shown.claim, shown.over) == (method_claim("images"), "seeds and images")
    assert shown.interval == "95% two-part over 3 seeds and 60 images"


def test_claims_speak_of_patients_only_where_they_are_known() -> None:
    groups = [f"p{at // 3}" for at in range(60)]
    claims = [of_measured(made_up(0.8, seeds, groups=groups)).interval().claim for seeds in (1, 3)]
    assert claims == ["this trained model on new patients", "this method over new draws and new patients"]
    claims = [of_measured(made_up(0.8, seeds)).interval().claim for seeds in (1, 3)]
    assert claims == ["this trained model on new images", "this method over new draws and new images"]
    mixed = mean_over_sets([of_measured(made_up(0.8)), of_measured(made_up(0.8, groups=groups))])
    assert mixed.interval().claim == "this method over new draws and new images"


def two_seeds_far_apart(metric: str) -> Measured:
    """A metric of two classes that one seed tells well and the other hardly."""
    labels = np.repeat([0, 1], 20)
    stated = np.full((2, 40, 2), 0.5)
    for seed, wrong in enumerate((2, 16)):
        hits = np.where(np.arange(40) % 20 < wrong, 1 - labels, labels)
        stated[seed, np.arange(40), hits] = 0.8
        stated[seed, np.arange(40), 1 - hits] = 0.2
    return measure(metric, labels, probabilities=stated)


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("accuracy", 0.0, 1.0),
        ("balanced_accuracy", 0.0, 1.0),
        ("macro_f1", 0.0, 1.0),
        ("auroc", 0.0, 1.0),
        ("kappa", -1.0, 1.0),
        ("quadratic_kappa", -1.0, 1.0),
        ("brier", 0.0, 2.0),
    ],
)
def test_no_interval_reaches_beyond_what_the_metric_can_be(metric: str, low: float, high: float) -> None:
    measured = two_seeds_far_apart(metric)
    (found,) = of_measured_rows([measured])
    assert found == of_measured(measured)
    assert found.mean - found.half_width() < low
    assert found.mean + found.half_width() > high
    for shown in (found.interval(), mean_over_sets([found, found]).interval(0.999)):
        assert (shown.low, shown.high) == (low, high)


def test_an_interval_of_a_difference_ends_at_one() -> None:
    good, bad = np.zeros((2, 40), dtype=int), np.zeros((2, 40), dtype=int)
    bad[0, :39], bad[1, :6] = 1, 1
    labels = np.zeros(40, dtype=int)
    found = difference(*(measure("accuracy", labels, predicted=each) for each in (good, bad)))
    assert found.half_width() > 2
    assert (found.interval().low, found.interval().high) == (-1.0, 1.0)


def test_an_interval_goes_into_json_with_both_parts() -> None:
    found = of_measured(made_up(0.8))
    told = json.loads(json.dumps(found.as_dict()))
    assert told == found.interval().as_dict() | {"from_draws": found.from_draws, "from_patients": found.from_patients}
    assert of_measured(made_up(0.8, 1)).as_dict()["from_draws"] is None


def test_few_patients_are_approximate_and_fewer_tell_nothing() -> None:
    groups = [f"p{at // 3}" for at in range(60)]
    assert of_measured(made_up(0.8, groups=groups)).interval().interval == (
        "95% two-part over 3 seeds and 20 groups (approximate)"
    )
    few = of_measured(made_up(0.8, groups=[f"p{at // 7}" for at in range(60)]))
    assert (few.interval().low, few.interval().interval, few.p_value()) == (None, "none: fewer than 10 groups", None)
    assert few.interval().claim is None


def test_no_spread_is_no_certainty() -> None:
    found = two_part(np.ones((3, 40)))
    assert (found.interval().low, found.p_value()) == (None, None)
    assert found.interval().interval.startswith("none: every resample gives the same number")
    assert two_part(np.zeros((3, 40))).p_value() == 1.0


@pytest.mark.parametrize("apart", [0.0, 1e-10])
def test_seeds_that_agree_by_chance_are_no_certainty(apart: float) -> None:
    # both seeds are 5 points better, on other images each: neither the means nor their covariance say how sure that is
    first, second = np.zeros((2, 40)), np.zeros((2, 40))
    first[0, :9], first[1, 20:29] = 1, 1
    second[0, 9:16], second[1, 29:36] = 1, 1
    found = two_part(first - second + np.array([[0.0], [apart]]))
    assert (found.v_draws, found.v_cases) == (pytest.approx(0, abs=1e-12), 0)
    # squares about the mean: 32 - 80 (0.05)^2 in all, 2 (32 / 4 - 40 (0.05)^2) of images, so that 16 are left
    rest = 16 / 39
    assert found.v_rest == pytest.approx(rest / (40 * 2))
    half = 2.0226909 * np.sqrt(rest / (40 * 2))  # Student's t with 39 degrees of freedom
    shown = found.interval()
    assert (shown.low, shown.high) == pytest.approx((0.05 - half, 0.05 + half), abs=1e-6)
    assert p_values([found]) == [pytest.approx(found.p_value())]
    assert found.half_width(found.p_value()) == pytest.approx(0.05)


def test_equal_answers_of_seeds_and_units_leave_nothing_to_say() -> None:
    found = two_part(np.full((2, 40), 0.05) + np.array([[0.0], [1e-10]]))
    assert found.v_draws > 0
    assert (found.interval().low, found.p_value(), p_values([found])) == (None, None, [None])


def test_the_least_spread_of_a_mean_over_sets_adds_up() -> None:
    from scipy.stats import t

    parts = [TwoPart(0.6, 0.0, 0.0, 2, 99, 3, 100, v_rest=0.004, df_rest=198)]
    parts.append(TwoPart(0.8, 0.0, 0.0, 2, 49, 3, 50, v_rest=0.002, df_rest=98))
    found = mean_over_sets(parts)
    assert found.v_rest == pytest.approx(0.006 / 4)
    assert found.df_rest == pytest.approx(0.006**2 / (0.004**2 / 198 + 0.002**2 / 98))
    assert found.half_width() == pytest.approx(t.ppf(0.975, found.df_rest) * np.sqrt(0.0015))


def test_satterthwaite_needs_five_seeds() -> None:
    with pytest.raises(InvalidInput, match=r"needs 5 seeds; found 3. Use the two-part interval"):
        of_measured(made_up(0.8)).interval(satterthwaite=True)
    five = of_measured(made_up(0.8, 5))
    shown = five.interval(satterthwaite=True)
    assert shown.high - shown.mean == pytest.approx(five.half_width(satterthwaite=True))
    assert shown.interval == "95% Satterthwaite over 5 seeds and 60 images"


def test_a_mean_over_sets_adds_variances_and_keeps_degrees_of_freedom() -> None:
    parts = [TwoPart(0.6, 0.004, 0.001, 2, 99, 3, 100), TwoPart(0.8, 0.002, 0.003, 2, 49, 3, 50)]
    found = mean_over_sets(parts)
    assert (found.mean, found.v_draws, found.v_cases) == pytest.approx((0.7, 0.006 / 4, 0.004 / 4))
    assert found.df_draws == pytest.approx(0.006**2 / (0.004**2 / 2 + 0.002**2 / 2))
    assert found.df_cases == pytest.approx(0.004**2 / (0.001**2 / 99 + 0.003**2 / 49))
    assert found.interval().interval == "95% two-part over 3 seeds and 2 data sets"
    assert found.scope == "Mean over these 2 sets; says nothing about a further one."
    assert mean_over_sets(parts[:1]).half_width() == pytest.approx(parts[0].half_width())


def test_a_set_of_which_nothing_is_known_leaves_the_mean_alone() -> None:
    groups = ["p0"] * 60
    found = mean_over_sets([of_measured(made_up(0.8)), of_measured(made_up(0.6, groups=groups))])
    assert found.mean == pytest.approx((made_up(0.8).mean + made_up(0.6).mean) / 2)
    assert found.interval().interval == "none: there is only one group"


def test_a_difference_pairs_equal_seeds() -> None:
    first, second = made_up(0.9, seed=1, seeds=3), made_up(0.6, seed=2, seeds=3)
    turned = measure("accuracy", second.labels, predicted=(~second.correct[::-1]).astype(int), seeds=second.seeds[::-1])
    assert difference(first, turned) == difference(first, second)
    assert difference(first, second).mean == pytest.approx(first.mean - second.mean)


def test_zero_shot_stands_for_each_seed() -> None:
    method, baseline = made_up(0.9, seed=1), made_up(0.5, seeds=1, seed=2, drawn=False)
    found = difference(method, baseline)
    assert found == replace(two_part(method.values - baseline.values), bounds=(-1.0, 1.0))
    assert (found.claim, difference(baseline, method).mean) == (method_claim("images"), -found.mean)


def test_what_cannot_be_paired_says_why() -> None:
    method = made_up(0.9)
    names = [f"{at}.png" for at in range(60)]
    assert difference(method, made_up(0.9, n=50)).why == "one was measured on 60 images, the other on 50"
    named = made_up(0.9, images=names)
    other = made_up(0.9, images=[f"x{name}" for name in names])
    assert difference(named, other).why == "they were measured on other test images, 60 each"
    assert difference(method, made_up(0.9, seeds=1)).why == "they were not run with two seeds in common"
    other_groups = made_up(0.9, groups=[f"p{at // 2}" for at in range(60)])
    assert difference(method, other_groups).why == "labels or groups of the test images differ"
    assert difference(method, made_up(0.9, n=50)).interval().interval == (
        "none: one was measured on 60 images, the other on 50"
    )


def test_one_seed_each_speaks_of_two_trained_models() -> None:
    found = difference(made_up(0.9, seeds=1), made_up(0.5, seeds=1, seed=3))
    assert found.interval().claim == model_claim("images")


def rare(n_rare: int, metric: str = "balanced_accuracy") -> Measured:
    """A metric on 40 images of one class and few of another."""
    labels = np.repeat([0, 1], [40, n_rare])
    wrong = np.random.default_rng(0).random((3, labels.size)) < 0.3
    return measure(metric, labels, predicted=np.where(wrong, 1 - labels, labels))


def test_a_class_that_few_images_have_makes_its_average_approximate_or_unknown() -> None:
    assert of_measured(rare(10)).interval().interval == "95% two-part over 3 seeds and 50 images"
    assert of_measured(rare(9)).interval().interval == "95% two-part over 3 seeds and 49 images (approximate)"
    assert of_measured(rare(3)).interval().interval == "none: a class is held by 3 images only"
    assert of_measured(rare(3)).p_value() is None
    assert difference(rare(3), rare(3)).unknown == "a class is held by 3 images only"
    assert mean_over_sets([of_measured(rare(9)), of_measured(rare(20))]).fewest_of_class == 9
    assert of_measured(rare(3, "accuracy")).interval().interval == "95% two-part over 3 seeds and 43 images"


def test_p_values_of_many_are_those_of_each() -> None:
    draw = np.random.default_rng(3)
    found = [two_part(shift + draw.normal(size=(seeds, 40))) for shift in (0.0, 0.1, 1.0) for seeds in (1, 3)]
    found += [two_part(np.zeros((3, 40))), two_part(np.ones((3, 4)))]
    *searched, nothing_apart, too_few = p_values(found)
    assert searched == pytest.approx([each.p_value() for each in found[:-2]], rel=1e-9)
    assert (nothing_apart, too_few) == (1.0, None)
