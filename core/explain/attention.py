"""Attention of the image tower's class token: its shares per layer, its map over the picture, and rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.backbones.contract import ImageAttention, LayerTokens
from core.errors import InvalidInput
from core.explain.flow import through_layers

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


def rollout(attention: ImageAttention, tokens: LayerTokens | None = None, image: int = 0) -> np.ndarray:
    """How much of each input patch reaches the class token through all layers: (rows, columns), shares.

    Each layer mixes half attention, half identity (the residual path). tokens: the extra vectors of that pass; at
    layers that list them nothing flows through, at others they carry on what they took up. Without, they count as set
    anew at each layer. Source: Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020.
    """
    mixed = attention.weights[:, image].double().mean(dim=1).cpu()
    identity = torch.eye(mixed.shape[-1], dtype=torch.float64)
    anew = [tokens is None or tokens.sets_anew(layer) for layer in range(len(mixed))]
    resets = [attention.extra if there else () for there in anew]
    flow = through_layers([0.5 * layer + 0.5 * identity for layer in mixed], resets)
    return on_grid(flow[attention.class_token], attention)


def placed_attention(plain: ImageAttention, tokens: LayerTokens | None, weights: Tensor) -> ImageAttention:
    """Weights of a pass with vectors at every layer, with the positions that follow from the pass without any.

    plain: that pass. weights: (layers, batch, heads, tokens, tokens). Saves running the tower twice where both its
    weights and its features are wanted.
    """
    if tokens is None:
        return replace(plain, weights=weights)
    n, length = tokens.n, plain.weights.shape[-1]
    if tokens.mode == "replace":
        extra = range(tokens.start, tokens.start + n)
        kept = [(p, cell) for p, cell in zip(plain.patches, plain.patch_index, strict=True) if p not in extra]
        return _rearranged(plain, weights, plain.class_token, extra, kept)
    start = length if tokens.start == -1 else tokens.start
    moved = [p + n if p >= start else p for p in (plain.class_token, *plain.patches)]
    cells = zip(moved[1:], plain.patch_index, strict=True)
    return _rearranged(plain, weights, moved[0], range(start, start + n), list(cells))


def _rearranged(
    plain: ImageAttention, weights: Tensor, class_token: int, extra: range, kept: list[tuple[int, int]]
) -> ImageAttention:
    patches, cells = tuple(p for p, _ in kept), tuple(cell for _, cell in kept)
    return ImageAttention(weights, class_token, tuple(extra), patches, cells, plain.grid)


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
