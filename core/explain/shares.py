"""What part of the class token's attention lies on a lesion, and why that part changes.

A unit is one head of one layer. P is a unit's attention on the patches that count, r the lesion's part of it. The
share S = sum P r / sum P leaves out what vectors and class token draw; the raw share does not. S' - S splits exactly
into units that gain or lose attention as a whole, and shifts within units. All arrays float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UnitShares:
    """totals, inside: (images, units), a unit's attention on the counted patches and the lesion's part of it (r)."""

    totals: np.ndarray
    inside: np.ndarray

    @property
    def raw(self) -> np.ndarray:
        """The lesion's part of all attention, mean over units: (images,)."""
        return (self.totals * self.inside).mean(axis=1)

    @property
    def weights(self) -> np.ndarray:
        """Each unit's part of the attention on patches: (images, units), rows sum to 1."""
        return self.totals / self.totals.sum(axis=1, keepdims=True)

    @property
    def renormalised(self) -> np.ndarray:
        """The lesion's part of the attention on patches, S: (images,)."""
        return (self.weights * self.inside).sum(axis=1)


def unit_shares(attention: np.ndarray, lesion: np.ndarray, counted: np.ndarray) -> UnitShares:
    """Shares of (images, units, cells) attention on lesions (images, cells) over the counted cells (cells,), bool."""
    on_cells = attention[..., counted]
    totals = on_cells.sum(axis=2)
    hit = np.einsum("iuc,ic->iu", on_cells, lesion[:, counted])
    return UnitShares(totals, np.divide(hit, totals, out=np.zeros_like(hit), where=totals > 0))


def split_change(before: UnitShares, after: UnitShares) -> tuple[np.ndarray, np.ndarray]:
    """(units term, within term), each (images,): their sum is the change of the renormalised share, exactly.

    units: the attention moves between heads that see more or less of the lesion. within: heads turn to or from it.
    """
    w, v = before.weights, after.weights
    units = ((v - w) * (before.inside + after.inside) / 2).sum(axis=1)
    within = ((w + v) / 2 * (after.inside - before.inside)).sum(axis=1)
    return units, within


def share_of_map(cells: np.ndarray, lesion: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The lesion's part of maps (images, cells) over the counted cells: (images,)."""
    on_cells = cells[:, counted]
    return (on_cells * lesion[:, counted]).sum(axis=1) / on_cells.sum(axis=1)


def entropy(cells: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Entropy in nats of maps (images, cells) made to sum to 1 over the counted cells; its exp is effective patches."""
    p = cells[:, counted] / cells[:, counted].sum(axis=1, keepdims=True)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)


def pointing_hit(cells: np.ndarray, lesion: np.ndarray, counted: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Whether the strongest counted cell of each map lies on the lesion: (images,), 0 or 1, ties by their part.

    least: a cell hits where more than this part of it is marked (0: it touches), or at least this part (above 0).
    """
    values, on = cells[:, counted], lesion[:, counted]
    hits = on >= least if least > 0 else on > 0
    top = values == values.max(axis=1, keepdims=True)
    return (top & hits).sum(axis=1) / top.sum(axis=1)


def log_odds(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """log p / (1 - p) of the labelled class for logits (images, classes), labels (images,): (images,)."""
    z = logits.astype(np.float64) / temperature
    rows = np.arange(len(z))
    own = z[rows, labels]
    others = z.copy()
    others[rows, labels] = -np.inf
    most = others.max(axis=1)
    return own - most - np.log(np.exp(others - most[:, None]).sum(axis=1))
