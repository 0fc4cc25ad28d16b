"""Placements are the map itself elsewhere; ties are broken at random."""

import numpy as np
import pytest

from core.explain.random_maps import marked_cells, placed_means


def brute(weights, values):
    """The same by moving the weights one placement after the other."""
    rows, columns = weights.shape
    sides = [
        side
        for part in (weights, weights[:, ::-1])
        for side in (part, np.rot90(part), np.rot90(part, 2), np.rot90(part, 3))
    ]
    kept = [side for side in sides if side.shape == weights.shape]
    placed = [np.roll(side, (y, x), axis=(0, 1)) for side in kept for y in range(rows) for x in range(columns)]
    there = np.isfinite(values)
    return [float((each * values)[there].sum() / each[there].sum()) for each in placed if each[there].sum() > 0]


@pytest.mark.parametrize("shape", [(5, 5), (3, 4)])
def test_means_at_all_placements_are_those_of_moving_the_map(shape):
    rng = np.random.default_rng(0)
    weights, values = rng.random(shape), rng.normal(size=shape)
    if shape[0] != shape[1]:
        expected = [*brute(weights, values)]
        found = placed_means(weights, values)
        assert len(found) == 4 * weights.size
        assert sorted(found) == pytest.approx(sorted(expected))
        return
    found = placed_means(weights, values)
    assert len(found) == 8 * weights.size
    assert found[0] == pytest.approx((weights * values).sum() / weights.sum())
    assert sorted(found) == pytest.approx(sorted(brute(weights, values)))


def test_marks_that_fall_on_missing_cells_do_not_count():
    weights, values = np.zeros((4, 4)), np.arange(16.0).reshape(4, 4)
    weights[1, 1] = weights[1, 2] = 1
    values[0, :2] = np.nan
    found = placed_means(weights, values)
    assert len(found) < 8 * 16, "a placement with all its marks on missing cells is left out"
    assert sorted(found) == pytest.approx(sorted(brute(weights, values)))


def test_the_strongest_cells_are_marked_and_equal_ones_at_random():
    own = np.array([[3.0, np.nan, 1.0], [1.0, 2.0, 1.0]])
    first, second = marked_cells(own, [1, 2], np.random.default_rng(0))
    assert (first.tolist(), second.tolist()) == ([0], [0, 4])
    thirds = {marked_cells(own, [3], np.random.default_rng(seed))[0][2] for seed in range(40)}
    assert thirds == {2, 3, 5}
