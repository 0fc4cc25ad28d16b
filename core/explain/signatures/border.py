"""Attention on the border: frames, collimator edges and corner markers draw it."""

from __future__ import annotations

import numpy as np

from core.explain.signature import Seen, Signature


class Border(Signature):
    """Part of the attention on the outermost ring of patches; of 14 x 14 patches the ring is 0.265 of the area."""

    title = "Attention on the border"
    statistic_words = "Part of the attention on the outermost ring of patches"
    meaning = "Look for a frame, an edge or a marker at the border, and crop it away."
    limit = 0.35

    def statistic(self, seen: Seen) -> float:
        """In [0, 1]."""
        ring = np.ones(seen.attention.shape, dtype=bool)
        ring[1:-1, 1:-1] = False
        return float(np.nansum(seen.attention[ring]))
