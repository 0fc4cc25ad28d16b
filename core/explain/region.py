"""How much of a map lies in a marked region, compared with how much it would by chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import InvalidInput

Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the model's input; right and bottom lie outside."""


@dataclass(frozen=True)
class RegionShare:
    """How a map (rows, columns) lies to a region, of which each cell holds a part.

    map_share, outside_share: parts of the map's mass inside and outside; they sum to 1, so what the class token or
    extra vectors draw counts as neither. area_share: part of the visible picture the region covers. enrichment:
    map_share / area_share, 1 is chance. raw_inside, raw_outside: the mass itself, for maps whose cells are shares of
    the class token's attention; with what vectors and class token draw they sum to 1. pointing_hit: the strongest cell
    touches the region. chance_hit: part of the cells that touch it, which a random map would hit. Shares are None for
    a map without mass.
    """

    map_share: float | None
    outside_share: float | None
    area_share: float
    enrichment: float | None
    pointing_hit: bool
    chance_hit: float
    raw_inside: float | None
    raw_outside: float | None
    peak_cell: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "peak_cell": list(self.peak_cell)}


def region_share(grid_map: np.ndarray, region: np.ndarray | Box, size_px: int | None = None) -> RegionShare:
    """Measures a map (rows, columns) against a mask (size, size) or a box in pixels of the model's input.

    A mask is bool, or the part of each pixel that is marked. size_px is needed with a box. Raises InvalidInput for a
    box without area or outside the input.
    """
    mask = region if isinstance(region, np.ndarray) else box_mask(region, _needed(size_px))
    return cell_share(grid_map, coverage(mask, grid_map.shape))


def cell_share(grid_map: np.ndarray, inside: np.ndarray, *, are_shares: bool = False) -> RegionShare:
    """Measures a map against the marked part of each of its cells, both (rows, columns).

    Cells that zero vectors replaced (not-a-number) belong neither to the map nor to the area. are_shares: the cells are
    shares of the class token's attention, so their sums are given as well.
    """
    seen = np.isfinite(grid_map)
    mass = np.where(seen, np.maximum(grid_map, 0), 0)
    total, hit = float(mass.sum()), float((mass * inside).sum())
    share = hit / total if total > 0 else None
    area = float(inside[seen].mean())
    row, column = peak_cell(grid_map)
    return RegionShare(
        map_share=share,
        outside_share=None if share is None else 1 - share,
        area_share=area,
        enrichment=share / area if share is not None and area > 0 else None,
        pointing_hit=bool(total > 0 and inside[row, column] > 0),
        chance_hit=float((inside[seen] > 0).mean()),
        raw_inside=hit if are_shares else None,
        raw_outside=total - hit if are_shares else None,
        peak_cell=(row, column),
    )


def coverage(mask: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Part of each grid cell's pixels inside the mask: (size, size) to (rows, columns), in [0, 1]."""
    rows = np.linspace(0, mask.shape[0], grid[0] + 1).round().astype(int)
    columns = np.linspace(0, mask.shape[1], grid[1] + 1).round().astype(int)
    sums = np.add.reduceat(np.add.reduceat(mask.astype(float), rows[:-1], axis=0), columns[:-1], axis=1)
    return sums / np.outer(np.diff(rows), np.diff(columns))


def box_mask(box: Box, size_px: int) -> np.ndarray:
    """A box as bool mask (size_px, size_px)."""
    left, top, right, bottom = box
    if not (0 <= left < right <= size_px and 0 <= top < bottom <= size_px):
        raise InvalidInput(
            f"A box lies inside {size_px} x {size_px} px and has an area",
            f"found left {left}, top {top}, right {right}, bottom {bottom}",
            "Draw it again.",
        )
    mask = np.zeros((size_px, size_px), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def peak_cell(grid_map: np.ndarray) -> tuple[int, int]:
    """Row and column of the strongest patch that is there."""
    row, column = np.unravel_index(int(np.nanargmax(grid_map)), grid_map.shape)
    return int(row), int(column)


def peak_quadrant(grid_map: np.ndarray) -> str:
    """Where the strongest patch lies, in words: "upper left" ... "lower right", or "centre" in the middle fifth."""
    row, column = peak_cell(grid_map)
    down = (row + 0.5) / grid_map.shape[0] - 0.5
    right = (column + 0.5) / grid_map.shape[1] - 0.5
    if max(abs(down), abs(right)) <= 0.1:
        return "centre"
    return f"{'upper' if down < 0 else 'lower'} {'left' if right < 0 else 'right'}"


def quadrant_share(grid_map: np.ndarray) -> float:
    """Part of the map's mass in the quarter of the picture that holds its strongest patch; 0 without mass."""
    mass = np.maximum(np.nan_to_num(grid_map), 0)
    row, column = peak_cell(grid_map)
    middle = grid_map.shape[0] / 2, grid_map.shape[1] / 2
    rows = slice(0, int(np.ceil(middle[0]))) if row + 0.5 < middle[0] else slice(int(middle[0]), None)
    columns = slice(0, int(np.ceil(middle[1]))) if column + 0.5 < middle[1] else slice(int(middle[1]), None)
    total = mass.sum()
    return float(mass[rows, columns].sum() / total) if total > 0 else 0.0


def _needed(size_px: int | None) -> int:
    if size_px is None:
        raise InvalidInput("A box needs the size of the model's input", "found none", "Give size_px.")
    return size_px
