"""Self-attention blocks run part by part, so that masks and weights can be put in and taken out.

Each runner gives what the block's own forward gives in eval mode; only the order of floating-point sums may differ.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, width) to (batch, heads, tokens, width / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    capture: list[Tensor] | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention over (batch, heads, tokens, width) in, (batch, tokens, heads * width) out.

    mask: bool, True where a query may look at a key; every query needs at least one such key. With `capture` the
    weights are computed in the open, appended to it, and stay in the graph.
    """
    if capture is None:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    else:
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=-1)
        capture.append(weights)
        mixed = F.dropout(weights, dropout, training=dropout > 0) @ value
    return mixed.transpose(1, 2).flatten(2)


def run_timm_block(block: Any, x: Tensor, mask: Tensor | None, capture: list[Tensor] | None) -> Tensor:
    """One pre-norm block of a timm vision transformer."""
    attention = block.attn
    qkv = attention.qkv(block.norm1(x)).unflatten(-1, (3, attention.num_heads, -1))
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    mixed = attend(attention.q_norm(query), attention.k_norm(key), value, mask, capture)
    x = x + block.ls1(attention.proj(attention.norm(mixed)))
    return x + block.ls2(block.mlp(block.norm2(x)))


def run_open_clip_block(block: Any, x: Tensor, mask: Tensor | None, capture: list[Tensor] | None) -> Tensor:
    """One pre-norm residual block of open_clip, image or text."""
    attention = block.attn
    joined = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (split_heads(part, attention.num_heads) for part in joined.chunk(3, dim=-1))
    x = x + block.ls_1(attention.out_proj(attend(query, key, value, mask, capture)))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def run_bert_layer(layer: Any, x: Tensor, mask: Tensor | None, dropout: bool) -> Tensor:
    """One post-norm layer of BERT. dropout: its own probabilities are active."""
    attention, joined, output = layer.attention.self, layer.attention.output, layer.output
    query, key, value = (
        split_heads(part(x), attention.num_attention_heads)
        for part in (attention.query, attention.key, attention.value)
    )
    mixed = attend(query, key, value, mask, dropout=attention.dropout.p if dropout else 0.0)
    x = joined.LayerNorm(drop(joined.dense(mixed), joined.dropout.p, dropout) + x)
    return output.LayerNorm(drop(output.dense(layer.intermediate(x)), output.dropout.p, dropout) + x)


def drop(x: Tensor, probability: float, active: bool) -> Tensor:
    """Dropout that is asked for by an argument and not by the module's mode: frozen towers stay in eval mode."""
    return F.dropout(x, probability, training=True) if active else x


def widen_attention(weights: Tensor, positions: tuple[int, ...]) -> Tensor:
    """Weights of a layer that ran before tokens were inserted, in the shape of the later layers.

    weights: (batch, heads, tokens, tokens). A token that did not exist yet looks at itself alone, so rows sum to 1.
    """
    total = weights.shape[-1] + len(positions)
    old = torch.tensor([p for p in range(total) if p not in positions], device=weights.device)
    wide = torch.eye(total, dtype=weights.dtype, device=weights.device).repeat(*weights.shape[:2], 1, 1)
    wide[:, :, old[:, None], old[None, :]] = weights
    return wide
