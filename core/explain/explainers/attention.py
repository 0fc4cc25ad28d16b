"""Attention of the class token, averaged over heads and the last layers.

It says where the tower reads, not for which class: the same map for every class, and for a method that leaves the tower
alone the same map whatever was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.explain.attention import LAST_LAYERS, class_token_rows, on_grid
from core.explain.captured import Captured
from core.explain.explainer import Explainer, MapSet, Progress, for_every_class, no_progress
from core.tuning.option import Options, option


@dataclass(frozen=True)
class Config(Options):
    """Options of the attention map."""

    last: int = option(LAST_LAYERS, "Layers averaged, counted from the end.", unit="layers", bounds=(1, 64))


class Attention(Explainer):
    """Raw shares; what extra vectors and the class token take is reported beside the map."""

    title = "Attention"
    summary = "Where the image tower reads. The same for every class."
    source = "Dosovitskiy et al. An Image is Worth 16x16 Words. ICLR 2021 (the weights themselves)."
    scalar = "no score: what the class token attends to, the same for every class"
    unit = "share of the class token's attention"
    per_class = False
    signed = False
    Config = Config

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        attention = captured.attention
        row = class_token_rows(attention)[-self.config.last :, 0].mean(dim=0)
        facts = {
            "vectors_share": float(row[list(attention.extra)].sum()),
            "class_token_share": float(row[attention.class_token]),
            "patches_share": float(row[list(attention.patches)].sum()),
        }
        return MapSet(for_every_class(on_grid(row, attention), class_indices), facts)
