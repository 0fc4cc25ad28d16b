"""Random placements keep a map's values and neighbours; ties are broken at random."""

import numpy as np

from core.explain.random_maps import marked_cells, random_placements


def neighbours(values):
    """Sorted differences between neighbours, around the edges too."""
    both = [np.abs(values - np.roll(values, 1, axis=axis)).ravel() for axis in (0, 1)]
    return np.sort(np.concatenate(both))


def test_placements_are_exactly_as_smooth_and_all_different():
    own = np.random.default_rng(0).normal(size=(6, 6)).cumsum(axis=0)
    placed = random_placements(own, 200, np.random.default_rng(1))
    assert all(np.allclose(neighbours(each), neighbours(own)) for each in placed)
    assert len({each.tobytes() for each in placed}) == 200
    assert not any(np.array_equal(each, own) for each in placed)


def test_every_cell_is_marked_equally_often():
    own = np.zeros((4, 4))
    own[1, 2] = 1
    placed = random_placements(own, 127, np.random.default_rng(1))
    marked = sum(each == 1 for each in placed)
    assert marked.sum() == 127
    assert set(marked.ravel()) == {7, 8}


def test_a_grid_that_is_not_square_is_not_turned_by_a_quarter():
    own = np.arange(12.0).reshape(3, 4)
    placed = random_placements(own, 47, np.random.default_rng(0))
    assert placed.shape == (47, 3, 4)
    assert len({each.tobytes() for each in placed}) == 47


def test_replaced_patches_stay_where_they_are():
    own = np.arange(16.0).reshape(4, 4)
    own[0, :2] = np.nan
    placed = random_placements(own, 20, np.random.default_rng(0))
    assert (np.isnan(placed) == np.isnan(own)).all()


def test_the_strongest_cells_are_marked_and_equal_ones_at_random():
    own = np.array([[3.0, np.nan, 1.0], [1.0, 2.0, 1.0]])
    first, second = marked_cells(own, [1, 2], np.random.default_rng(0))
    assert (first.tolist(), second.tolist()) == ([0], [0, 4])
    thirds = {marked_cells(own, [3], np.random.default_rng(seed))[0][2] for seed in range(40)}
    assert thirds == {2, 3, 5}
