"""What the class token attends to in each single layer and head, as arrays to take along."""

from __future__ import annotations

import numpy as np

from core.backbones.contract import ImageAttention
from core.explain.parts import HEADS


def head_arrays(attention: ImageAttention, side: str) -> dict[str, np.ndarray]:
    """Arrays of one image, float32, not-a-number where vectors replaced the patch.

    heads_<side>: (layers, heads, rows, columns). heads_<side>_vectors, heads_<side>_class_token: (layers, heads), what
    extra vectors and the class token itself draw; with the cells they sum to 1.
    """
    rows = attention.weights[:, 0, :, attention.class_token, :].float().cpu().numpy()
    cells = np.full((*rows.shape[:2], attention.grid[0] * attention.grid[1]), np.nan, dtype=np.float32)
    cells[:, :, list(attention.patch_index)] = rows[:, :, list(attention.patches)]
    return {
        f"{HEADS}{side}": cells.reshape(*rows.shape[:2], *attention.grid),
        f"{HEADS}{side}_vectors": rows[:, :, list(attention.extra)].sum(axis=2),
        f"{HEADS}{side}_class_token": rows[:, :, attention.class_token],
    }
