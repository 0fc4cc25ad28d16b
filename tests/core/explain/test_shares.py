"""Shares of attention on a lesion, and the exact split of their change."""

import numpy as np
import pytest

from core.explain.shares import entropy, log_odds, pointing_hit, share_of_map, split_change, unit_shares

ALL = np.array([True, True])
LESION = np.array([[1.0, 0.0]])


def test_two_heads_lose_raw_share_while_the_renormalised_share_rises():
    before = unit_shares(np.array([[[0.30, 0.60], [0.30, 0.20]]]), LESION, ALL)
    after = unit_shares(np.array([[[0.15, 0.30], [0.27, 0.13]]]), LESION, ALL)
    assert (before.raw[0], after.raw[0]) == pytest.approx((0.300, 0.210))
    assert before.renormalised[0] == pytest.approx(0.4286, abs=5e-5)
    assert after.renormalised[0] == pytest.approx(0.4941, abs=5e-5)
    units, within = split_change(before, after)
    assert (units[0], within[0]) == pytest.approx((0.0345, 0.0310), abs=5e-5)


def test_both_terms_sum_to_the_change_for_every_image():
    draw = np.random.default_rng(0)
    lesion, counted = draw.random((50, 196)), np.arange(196) >= 16
    before, after = (unit_shares(draw.dirichlet(np.ones(197), (50, 24))[..., :196], lesion, counted) for _ in range(2))
    units, within = split_change(before, after)
    assert np.abs(units + within - (after.renormalised - before.renormalised)).max() < 1e-12
    assert np.abs(units).min() > 0


def test_the_renormalised_share_is_that_of_the_mean_map():
    draw = np.random.default_rng(1)
    attention, lesion, counted = draw.random((3, 8, 20)), draw.random((3, 20)), np.arange(20) > 2
    found = unit_shares(attention, lesion, counted).renormalised
    assert found == pytest.approx(share_of_map(attention.mean(axis=1), lesion, counted))


def test_equal_patches_have_the_largest_entropy():
    counted = np.array([True, True, False, True, True])
    cells = np.array([[0.1, 0.1, 0.9, 0.1, 0.1], [0.4, 0.0, 0.9, 0.0, 0.0]])
    assert np.exp(entropy(cells, counted)) == pytest.approx([4, 1])


def test_hits_touch_the_lesion_and_ties_count_by_their_part():
    lesion = np.array([[0.0, 0.3, 0.6], [0.0, 0.3, 0.6], [0.0, 0.3, 0.6]])
    cells = np.array([[0.1, 0.5, 0.2], [0.5, 0.1, 0.5], [0.9, 0.1, 0.2]])
    everything = np.ones(3, dtype=bool)
    assert pointing_hit(cells, lesion, everything).tolist() == [1, 0.5, 0]
    assert pointing_hit(cells, lesion, everything, 0.5).tolist() == [0, 0.5, 0]
    assert pointing_hit(cells, lesion, np.array([False, True, True])).tolist() == [1, 1, 1]


def test_log_odds_are_those_of_the_calibrated_probability():
    logits = np.array([[2.0, 0.0, 1.0], [-400.0, 400.0, 0.0]])
    p = np.exp(logits[0] / 2) / np.exp(logits[0] / 2).sum()
    found = log_odds(logits, np.array([2, 1]), 2.0)
    assert found[0] == pytest.approx(np.log(p[2] / (1 - p[2])))
    assert found[1] == pytest.approx(200)
