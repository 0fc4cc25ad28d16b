"""Attention collapsed onto one patch: a sink in the picture, not a finding."""

from __future__ import annotations

import numpy as np

from core.explain.signature import Seen, Signature


class Collapse(Signature):
    """The largest single patch's part of the attention on patches; evenly spread, 14 x 14 patches have 0.005 each."""

    title = "Collapse onto one patch"
    statistic_words = "Part of the attention on its strongest patch"
    meaning = "Most of the picture is hardly read; do not take this patch for a finding."
    limit = 0.12

    def statistic(self, seen: Seen) -> float:
        """In [0, 1]."""
        return float(np.nanmax(seen.attention))
