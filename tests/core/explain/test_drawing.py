"""Shapes in original pixels become masks."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.explain.drawing import MOST_SHAPES, Shape, draw, polygon_of


def polygon(*points, erase=False):
    return Shape("polygon", points, erase=erase)


def test_corners_at_pixel_edges_mark_exactly_what_lies_between():
    marked = draw([polygon((10, 20), (30, 20), (30, 40), (10, 40))], (50, 60))
    assert marked.sum() == 400
    assert marked[20:40, 10:30].all()


def test_a_triangle_marks_the_pixels_whose_centres_it_holds():
    marked = draw([polygon((0, 0), (8, 0), (0, 8))], (8, 8))
    rows, columns = np.mgrid[:8, :8] + 0.5
    assert np.array_equal(marked, rows + columns < 8)


def test_a_polygon_that_folds_back_leaves_its_hole_empty():
    outer, inner = ((0, 0), (9, 0), (9, 9), (0, 9), (0, 0)), ((3, 3), (3, 6), (6, 6), (6, 3), (3, 3))
    marked = draw([polygon(*outer, *inner)], (9, 9))
    assert marked.sum() == 81 - 9
    assert not marked[3:6, 3:6].any()


def test_a_brush_marks_a_disc_and_the_way_between_its_places():
    disc = draw([Shape("brush", ((20, 20),), 10)], (40, 40))
    rows, columns = np.mgrid[:40, :40] + 0.5
    assert np.array_equal(disc, np.hypot(rows - 20, columns - 20) <= 10)
    stroke = draw([Shape("brush", ((5, 10), (35, 10)), 2)], (40, 40))
    assert stroke[8:12, 5:35].all()
    assert stroke[:8].sum() == 0


def test_an_eraser_takes_out_what_was_drawn_before_it():
    square = polygon((0, 0), (10, 0), (10, 10), (0, 10))
    hole = polygon((2, 2), (4, 2), (4, 4), (2, 4), erase=True)
    assert draw([square, hole], (10, 10)).sum() == 96
    assert draw([hole, square], (10, 10)).sum() == 100


def test_typed_corners_are_a_polygon_and_go_there_and_back():
    shape = polygon_of("10,20 30.5,20  30,40")
    assert shape.points == ((10, 20), (30.5, 20), (30, 40))
    assert Shape.of(shape.as_dict()) == shape


@pytest.mark.parametrize("text", ["10,20 30,20", "a,b c,d e,f", "1,2,3 4,5,6 7,8,9", "nan,1 2,3 4,5", ""])
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(InvalidInput):
        polygon_of(text)


def test_points_outside_the_picture_and_empty_regions_are_refused():
    with pytest.raises(InvalidInput, match=r"0 to 50 across and 0 to 60 down; found \(51, 2\)"):
        draw([polygon((0, 0), (51, 2), (3, 3))], (50, 60))
    with pytest.raises(InvalidInput, match="these shapes mark none"):
        draw([polygon((0.6, 0.6), (0.9, 0.6), (0.9, 0.9))], (50, 60))
    with pytest.raises(InvalidInput, match=r"A brush|a brush"):
        Shape.of({"kind": "brush", "points": [[1, 1]]})
    with pytest.raises(InvalidInput, match=f"1 to {MOST_SHAPES} shapes"):
        draw([], (5, 5))
