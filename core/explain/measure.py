"""Each map of an explanation measured against a region of the original picture, however the region came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from core.explain.frame import SeenMask
from core.explain.parts import HEADS
from core.explain.region import cell_share

Source = Literal["set", "drawn", "uploaded", "file"]
"""The image set's own mask; drawn or uploaded on the page or through the API; a file of the command line."""
ATTENTION = ("attention", "attention_without", "attention_with")
SHARES = frozenset((*ATTENTION, "rollout"))
"""Maps whose cells are shares of the class token's attention."""
NOT_MAPS = frozenset(("difference", "crop_box", "original_px", "region_cells"))
UNIT = "px of the original picture, not calibrated"


def measure(arrays: Mapping[str, np.ndarray], seen: SeenMask, source: Source = "file") -> dict[str, Any]:
    """The region as an explanation holds it, JSON-ready: {source, unit, note, mask, maps {kind: shares}}.

    arrays: the explanation's. note: what must be known before the numbers are read, or None. maps: empty where nothing
    of the region is seen. Both sides of a comparison count the cells that exist in both.
    """
    maps = {kind: _shares(kind, arrays, seen) for kind in measured_kinds(arrays)} if seen.seen_px > 0 else {}
    return {"source": source, "unit": UNIT, "note": seen.sentence(), "mask": seen.as_dict(), "maps": maps}


def measured_kinds(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Maps that can be measured: one number a cell, none of them below zero, and some above."""
    return [
        kind
        for kind, cells in arrays.items()
        if kind not in NOT_MAPS and not kind.startswith(HEADS) and not kind.endswith("_signed") and np.nanmax(cells) > 0
    ]


def _shares(kind: str, arrays: Mapping[str, np.ndarray], seen: SeenMask) -> dict[str, Any]:
    cells = arrays[kind]
    if kind == "attention_without":
        cells = np.where(np.isfinite(arrays["attention_with"]), cells, np.nan)
    found = cell_share(cells, seen.cells, are_shares=kind in SHARES)
    left, top, right, bottom = seen.frame.cell_box(*found.peak_cell, (cells.shape[0], cells.shape[1]))
    return {**found.as_dict(), "peak_px": [round((left + right) / 2, 2), round((top + bottom) / 2, 2)]}
