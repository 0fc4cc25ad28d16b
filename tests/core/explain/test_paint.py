"""Maps as pictures."""

import numpy as np
import pytest
from PIL import Image

from core.explain.paint import DIVERGING, SEQUENTIAL, colour_bar, colours_of, overlay, upsample

GREY = Image.new("RGB", (40, 40), (128, 128, 128))


def test_equal_values_have_equal_colours_in_maps_of_one_scale():
    scale = (0.0, 2.0)
    first = overlay(GREY, np.full((2, 2), 1.0), scale)
    second = overlay(GREY, np.array([[1.0, 1.0], [1.0, 2.0]]), scale)
    assert first.getpixel((2, 2)) == second.getpixel((2, 2))
    assert second.getpixel((38, 38)) != first.getpixel((38, 38))


def test_no_change_has_the_middle_colour_of_the_diverging_map():
    middle = colours_of(np.array(0.0), (-3.0, 3.0), DIVERGING)
    assert middle.min() > 0.85
    assert colours_of(np.array(0.0), (0.0, 0.0), DIVERGING) == pytest.approx(middle)


def test_replaced_cells_stay_grey_and_do_not_bleed():
    grid = np.array([[np.nan, 1.0], [1.0, 1.0]])
    painted = overlay(GREY, grid, (0.0, 1.0))
    assert painted.getpixel((5, 5)) == (128, 128, 128)
    assert painted.getpixel((25, 5)) == painted.getpixel((35, 35))


def test_upsampling_is_bilinear():
    values, there = upsample(np.array([[0.0, 1.0]]), (4, 1))
    assert values[0] == pytest.approx([0, 0.25, 0.75, 1])
    assert there.all()


def test_the_colour_bar_names_values_and_colours():
    bar = colour_bar((0.0, 0.8), SEQUENTIAL)
    assert (bar["lo"], bar["hi"], len(bar["stops"])) == (0.0, 0.8, 9)
    assert bar["stops"][4]["value"] == pytest.approx(0.4)
    assert bar["stops"][0]["colour"] == "#00224e"
