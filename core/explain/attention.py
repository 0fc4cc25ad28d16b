"""Attention of the image tower's class token: its shares per layer, and its map over the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.backbones.contract import ImageAttention
from core.errors import InvalidInput

LAST_LAYERS = 4
"""Layers that the attention map is averaged over: the last ones carry what the class token reads out."""


def class_token_rows(attention: ImageAttention) -> Tensor:
    """What the class token looks at, averaged over heads: (layers, batch, tokens), float64, rows sum to 1."""
    return attention.weights[:, :, :, attention.class_token, :].double().mean(dim=2).cpu()


def layer_shares(attention: ImageAttention, image: int = 0) -> list[dict[str, float]]:
    """One row a layer: zero_vectors, class_token and patches, which sum to 1, and entropy in nats over all tokens.

    zero_vectors is the share on all added or replaced vectors, whether they are zero or learned.
    """
    rows = class_token_rows(attention)[:, image]
    extra = rows[:, list(attention.extra)].sum(dim=1)
    patches = rows[:, list(attention.patches)].sum(dim=1)
    entropy = torch.special.entr(rows).sum(dim=1)
    return [
        {
            "zero_vectors": float(extra[layer]),
            "class_token": float(rows[layer, attention.class_token]),
            "patches": float(patches[layer]),
            "entropy": float(entropy[layer]),
        }
        for layer in range(len(rows))
    ]


def mean_shares(layers: list[dict[str, float]]) -> dict[str, float]:
    """The same four numbers, averaged over layers."""
    return {name: float(np.mean([row[name] for row in layers])) for name in layers[0]}


def attention_map(
    attention: ImageAttention, layer: int | None = None, last: int = LAST_LAYERS, image: int = 0
) -> np.ndarray:
    """Share of the class token's attention on each patch: (rows, columns), of one layer or the mean of the `last`.

    Values are raw shares, not rescaled; patches replaced by zero vectors are not-a-number. layer counts from 0,
    negative ones from the end.
    """
    rows = class_token_rows(attention)[:, image]
    if layer is not None:
        if not -len(rows) <= layer < len(rows):
            raise InvalidInput(
                f"The image tower has {len(rows)} layers, counted from 0",
                f"found layer {layer}",
                "Choose one of them.",
            )
        return on_grid(rows[layer], attention)
    return on_grid(rows[-max(1, last) :].mean(dim=0), attention)


def on_grid(tokens: Tensor | np.ndarray, attention: ImageAttention) -> np.ndarray:
    """Values of all tokens (tokens,) laid out on the patch grid (rows, columns); missing cells are not-a-number."""
    values = np.asarray(tokens, dtype=np.float64)
    cells = np.full(attention.grid[0] * attention.grid[1], np.nan)
    cells[list(attention.patch_index)] = values[list(attention.patches)]
    return cells.reshape(attention.grid)


def as_dict(attention: ImageAttention) -> dict[str, Any]:
    """JSON-ready: the shares of each layer and their mean."""
    layers = layer_shares(attention)
    return {"layers": layers, "mean": mean_shares(layers), "n_vectors": len(attention.extra)}
