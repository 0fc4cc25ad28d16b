"""Regions drawn by hand: polygons and brush strokes in pixels of the original picture, made into a mask.

The upper left corner of the picture is (0, 0), the lower right one (width, height); a pixel is marked if its centre
lies in a shape, so the corners (10, 20), (30, 20), (30, 40), (10, 40) mark exactly 20 x 20 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput

Point = tuple[float, float]
MOST_SHAPES = 100
MOST_POINTS = 10_000


@dataclass(frozen=True)
class Shape:
    """One shape. points: corners of a polygon (at least 3), or the places a round brush went through (at least 1).

    radius: of the brush, in pixels. erase: takes its pixels out of the shapes before it.
    """

    kind: Literal["polygon", "brush"]
    points: tuple[Point, ...]
    radius: float = 0.0
    erase: bool = False

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Shape:
        """From JSON. Raises InvalidInput for another kind, too few points, or a brush without a radius."""
        kind = written.get("kind")
        points = tuple((float(x), float(y)) for x, y in written.get("points", ()))
        radius = float(written.get("radius") or 0)
        if kind == "polygon" and len(points) >= 3:
            return cls("polygon", points, erase=bool(written.get("erase")))
        if kind == "brush" and points and radius > 0:
            return cls("brush", points, radius, bool(written.get("erase")))
        raise InvalidInput(
            "A shape is a polygon of at least 3 corners, or a brush stroke with a radius and at least 1 place",
            f"found '{kind}' with {len(points)} points" + (f" and radius {radius:g}" if kind == "brush" else ""),
            "Complete the shape.",
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        brush = {"radius": self.radius} if self.kind == "brush" else {}
        return {"kind": self.kind, "points": [list(point) for point in self.points], **brush, "erase": self.erase}


def draw(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """The pixels of all shapes, in their order: bool (height, width) for a picture of size (width, height).

    Raises InvalidInput for too many shapes or points, a point outside the picture, and shapes that mark nothing.
    """
    width, height = size
    _check(shapes, width, height)
    marked = np.zeros((height, width), dtype=bool)
    for shape in shapes:
        fill = _fill_polygon if shape.kind == "polygon" else _fill_brush
        fill(marked, shape)
    if not marked.any():
        raise InvalidInput(
            "A region marks at least one pixel's centre", "these shapes mark none", "Draw a larger shape."
        )
    return marked


def polygon_of(text: str) -> Shape:
    """A polygon as it is typed: "10,20 30,20 30,40". Raises InvalidInput for anything else."""
    try:
        points = [tuple(float(number) for number in pair.split(",")) for pair in text.replace(";", " ").split()]
        if not all(len(point) == 2 and all(map(math.isfinite, point)) for point in points):
            raise ValueError
    except ValueError:
        raise InvalidInput(
            "Corners in pixels, such as '10,20 30,20 30,40'", f"found '{text[:80]}'", "Type x,y pairs with spaces."
        ) from None
    return Shape.of({"kind": "polygon", "points": points})


def _check(shapes: Sequence[Shape], width: int, height: int) -> None:
    points = [point for shape in shapes for point in shape.points]
    if not 1 <= len(shapes) <= MOST_SHAPES or len(points) > MOST_POINTS:
        raise InvalidInput(
            f"1 to {MOST_SHAPES} shapes with at most {MOST_POINTS:,} points in all",
            f"found {len(shapes)} shapes with {len(points):,} points",
            "Draw fewer, or upload a mask.",
        )
    for x, y in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise InvalidInput(
                f"Points inside the picture, 0 to {width} across and 0 to {height} down",
                f"found ({x:g}, {y:g})",
                "Move the point.",
            )


def _fill_polygon(marked: np.ndarray, shape: Shape) -> None:
    """Even-odd rule at pixel centres, row by row."""
    x, y = np.array(shape.points).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    height, width = marked.shape
    for row in range(max(0, math.floor(y.min())), min(height, math.ceil(y.max()))):
        centre = row + 0.5
        crosses = (y <= centre) != (next_y <= centre)
        share = (centre - y[crosses]) / (next_y[crosses] - y[crosses])
        edges = np.sort(x[crosses] + share * (next_x[crosses] - x[crosses]))
        columns = np.clip(np.ceil(edges - 0.5), 0, width).astype(int)
        for start, end in zip(columns[::2], columns[1::2], strict=True):
            marked[row, start:end] = not shape.erase


def _fill_brush(marked: np.ndarray, shape: Shape) -> None:
    """Pixels whose centres lie within the radius of the line through the places."""
    places = np.array(shape.points)
    ends = places[1:] if len(places) > 1 else places
    for start, end in zip(places, ends, strict=False):
        _fill_segment(marked, start, end, shape.radius, not shape.erase)


def _fill_segment(marked: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float, value: bool) -> None:
    height, width = marked.shape
    low, high = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    left, top = (max(0, math.floor(edge)) for edge in low)
    right, bottom = min(width, math.ceil(high[0])), min(height, math.ceil(high[1]))
    if left >= right or top >= bottom:
        return
    x, y = np.arange(left, right)[None] + 0.5 - start[0], np.arange(top, bottom)[:, None] + 0.5 - start[1]
    along = end - start
    length = float(along @ along)
    place = np.clip((x * along[0] + y * along[1]) / length, 0, 1) if length > 0 else 0.0
    near = (x - place * along[0]) ** 2 + (y - place * along[1]) ** 2 <= radius**2
    marked[top:bottom, left:right][near] = value
