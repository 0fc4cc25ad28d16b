"""Random maps exactly as smooth as a given one: its own grid, moved around its edges, turned and mirrored.

Had a map nothing to do with what the model uses, any of its placements would be as good as its own. So the share of
random placements that do as well is a p-value that holds for every map, smooth or rough.
"""

from __future__ import annotations

import numpy as np


def random_placements(grid_map: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n placements of a map (rows, columns), drawn without repeats where there are enough: (n, rows, columns).

    Shifts go around the edges. Turns by a quarter need a square grid. Cells that are not-a-number stay where they are:
    they are filled with the map's median before it moves, and what lands on them is dropped.
    """
    rows, columns = grid_map.shape
    there = np.isfinite(grid_map)
    filled = np.where(there, grid_map, np.median(grid_map[there]))
    turned = _turned_and_mirrored(filled)
    places = len(turned) * rows * columns
    chosen = 1 + rng.choice(places - 1, n, replace=n > places - 1)  # place 0 is the map itself
    found = np.empty((n, rows, columns))
    for row, place in enumerate(chosen.tolist()):
        kind, shift = divmod(place, rows * columns)
        found[row] = np.roll(turned[kind], divmod(shift, columns), axis=(0, 1))
    return np.where(there, found, np.nan)


def marked_cells(grid_map: np.ndarray, counts: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Indices of the so many strongest cells that are there; cells of equal value come in random order."""
    flat = grid_map.ravel()
    there = np.flatnonzero(np.isfinite(flat))
    order = there[np.lexsort((rng.permutation(len(there)), -flat[there]))]
    return [order[:count] for count in counts]


def _turned_and_mirrored(grid_map: np.ndarray) -> list[np.ndarray]:
    """The 8 of a square grid, the 4 of another one; first the map itself."""
    turns = range(4) if grid_map.shape[0] == grid_map.shape[1] else (0, 2)
    return [np.rot90(side, turn) for side in (grid_map, grid_map[:, ::-1]) for turn in turns]
