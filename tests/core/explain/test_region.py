"""Shares of a map inside a region."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.explain.region import box_mask, coverage, peak_quadrant, quadrant_share, region_share

UNIFORM = np.ones((4, 4))


def test_a_uniform_map_is_at_chance_in_any_box():
    found = region_share(UNIFORM, (3, 5, 20, 30), size_px=64)
    assert found.enrichment == pytest.approx(1)
    assert found.map_share == pytest.approx(17 * 25 / 64**2)
    assert found.outside_share == pytest.approx(1 - 17 * 25 / 64**2)
    assert found.chance_hit == 4 / 16


def test_a_map_inside_the_region_is_enriched_by_its_area():
    spot = np.zeros((4, 4))
    spot[1, 2] = 3.0
    found = region_share(spot, (32, 16, 48, 32), size_px=64)
    assert (found.map_share, found.area_share, found.enrichment) == pytest.approx((1, 1 / 16, 16))
    assert found.pointing_hit
    assert found.peak_cell == (1, 2)
    assert found.chance_hit == 1 / 16


def test_a_region_smaller_than_a_patch_counts_by_area():
    spot = np.zeros((4, 4))
    spot[0, 0] = 1.0
    found = region_share(spot, (0, 0, 8, 8), size_px=64)
    assert found.map_share == pytest.approx(0.25)
    assert found.enrichment == pytest.approx(16)


def test_negative_evidence_and_missing_patches_have_no_mass():
    grid = np.array([[np.nan, -5.0], [1.0, 1.0]])
    found = region_share(grid, (0, 1, 1, 2), size_px=2)
    assert found.map_share == pytest.approx(0.5)
    assert found.area_share == pytest.approx(1 / 3)


def test_a_map_without_mass_has_no_share():
    found = region_share(-UNIFORM, (0, 0, 32, 32), size_px=64)
    assert (found.map_share, found.enrichment, found.pointing_hit) == (None, None, False)


def test_coverage_adds_up_to_the_area_when_cells_differ_in_size():
    mask = box_mask((0, 0, 7, 10), 10)
    assert coverage(mask, (3, 3)).shape == (3, 3)
    assert coverage(mask, (3, 3))[:, 0] == pytest.approx(1)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 5, 3, 9), (-1, 0, 5, 5), (0, 0, 65, 5)])
def test_an_impossible_box_is_refused(box):
    with pytest.raises(InvalidInput, match="A box lies inside 64 x 64 px and has an area"):
        region_share(UNIFORM, box, size_px=64)


def test_quadrants_are_named_as_they_are_seen():
    spot = np.zeros((5, 5))
    spot[0, 4] = 1
    assert peak_quadrant(spot) == "upper right"
    assert quadrant_share(spot) == 1
    assert peak_quadrant(np.pad([[1.0]], 2)) == "centre"
    assert quadrant_share(np.zeros((4, 4))) == 0
