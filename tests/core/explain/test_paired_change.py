"""Intervals, sign flips and verdicts of paired differences."""

import numpy as np
import pytest

from core.explain.paired_change import discordant_p, judge, paired_change


def test_the_margin_decides_what_an_interval_means():
    assert judge(-0.001, 0.0002, 0.01) == "no change that matters"
    assert judge(0.011, 0.02, 0.01) == judge(-0.02, -0.011, 0.01) == "change"
    assert judge(0.005, 0.02, 0.01) == judge(-0.02, 0.02, 0.01) == "undecided"


def test_twenty_images_or_more_are_resampled():
    d = np.random.default_rng(0).normal(0.02, 0.01, 60)
    found = paired_change(d, margin=0.01)
    half = 1.96 * d.std(ddof=1) / np.sqrt(60)
    assert (found.mean, found.n, found.groups) == (pytest.approx(d.mean()), 60, 60)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=5e-4)
    assert found.interval == "95% BCa bootstrap over 60 images"
    assert found.verdict == "change"
    assert found.p == pytest.approx(1e-4)


def test_groups_are_drawn_whole_and_widen_the_interval():
    draw = np.random.default_rng(1)
    d = np.repeat(draw.normal(0, 0.01, 25), 8) + draw.normal(0, 0.001, 200)
    groups = [str(place // 8) for place in range(200)]
    by_image, by_group = paired_change(d), paired_change(d, groups)
    assert (by_group.groups, by_group.n) == (25, 200)
    assert by_group.high - by_group.low > 2 * (by_image.high - by_image.low)


def test_few_groups_get_t_over_their_means_and_every_flip():
    d, groups = [0.01, 0.03, 0.02, 0.02, 0.03], ["a", "a", "b", "c", "d"]
    found = paired_change(d, groups, margin=0.01)
    means = np.array([0.02, 0.02, 0.02, 0.03])
    half = 3.182446 * means.std(ddof=1) / 2
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half), abs=1e-7)
    assert found.p == pytest.approx(2 / 2**4)
    assert found.interval == "95% t over 4 groups"


def test_one_unit_has_no_range_and_no_verdict():
    found = paired_change([0.5], margin=0.01)
    assert (found.low, found.high, found.verdict) == (None, None, None)


def test_turned_outcomes_are_tested_exactly():
    assert discordant_p([1] * 6 + [0] * 4, [0] * 6 + [0] * 4) == pytest.approx(2 / 2**6)
    assert discordant_p([1, 0, 1], [0, 1, 1]) == 1
    assert discordant_p([1, 0], [1, 0]) == 1
    assert discordant_p([1, 1, 1, 1], [0, 0, 0, 0], ["a", "a", "b", "c"]) == pytest.approx(2 / 2**3)
