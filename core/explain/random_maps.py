"""Random maps exactly as smooth as a given one: what it marks, moved around the edges, turned and mirrored.

Had a map nothing to do with what the model uses, any of its placements would be as good as its own. So the share of
placements that do as well is a p-value that holds for every map, smooth or rough.
"""

from __future__ import annotations

import numpy as np

NONE_LEFT = 1e-9
"""A placement whose marks all fall on missing cells says nothing."""


def placed_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the values at what a map marks, at each of its placements: (placements,), its own first.

    weights, values: (rows, columns); weights at least 0 and somewhere above, values not-a-number where a cell is
    missing: what is placed there does not count. Shifts go around the edges, all of them, each way up and mirrored;
    turns by a quarter need a square grid.
    """
    there = np.isfinite(values)
    known, exists = (np.fft.rfft2(part) for part in (np.where(there, values, 0.0), there.astype(float)))
    found = []
    for turned in _turned_and_mirrored(weights):
        marks = np.conj(np.fft.rfft2(turned))
        sums, marked = (np.fft.irfft2(marks * part, s=weights.shape) for part in (known, exists))
        kept = marked > NONE_LEFT * weights.sum()
        found.append(sums[kept] / marked[kept])
    return np.concatenate(found)


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
