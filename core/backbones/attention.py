"""Self-attention blocks run part by part, so that masks and weights can be put in and taken out.

Each runner gives what the block's own forward gives in eval mode; only the order of floating-point sums may differ.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.backbones.tower_pass import BlockParts
from core.backbones.weight_places import project_rows


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
        mixed = _attend_fused(query, key, value, mask, dropout)
    else:
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=-1)
        capture.append(weights)
        mixed = F.dropout(weights, dropout, training=dropout > 0) @ value
    return mixed.transpose(1, 2).flatten(2)


def _attend_fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    if query.dtype == torch.float32 or query.device.type != "cpu" or not (query.requires_grad or key.requires_grad):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    # a processor's backward pass through attention is several times slower in bf16 than in float32
    with torch.autocast("cpu", enabled=False):
        query, key, value = query.float(), key.float(), value.float()
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


Read = int | Tensor | None
"""Whose output a block gives: all tokens', the first so many (padded tokens), or these rows, one a text (packed)."""


def run_timm_block(
    block: Any, x: Tensor, mask: Tensor | None, capture: list[BlockParts] | None, read: Read = None
) -> Tensor:
    """One pre-norm block of a timm vision transformer. Tokens that are not read serve as keys and values.

    With `capture` all tokens attend, so that the weights are whole; what follows is computed for those read.
    """
    attention, normed = block.attn, block.norm1(x)
    width = normed.shape[-1]
    if read is None or capture is not None:
        query, key, value = attention.qkv(normed).chunk(3, dim=-1)
    else:
        query = project_rows(attention.qkv, _take(normed, read), 0, width)
        key, value = project_rows(attention.qkv, normed, width, 3 * width).chunk(2, dim=-1)
    query, key, value = (split_heads(part, attention.num_heads) for part in (query, key, value))
    query, key, weights = attention.q_norm(query), attention.k_norm(key), _place_for(capture)
    mixed = attend(query, key, value, mask, weights)
    own = _take(x, read) + block.ls1(attention.proj(attention.norm(_take_mixed(mixed, capture, read))))
    out = own + block.ls2(block.mlp(block.norm2(own)))
    _note(capture, weights, x, normed, query, key, value, mixed, out)
    return out


def run_open_clip_block(
    block: Any,
    x: Tensor,
    mask: Tensor | None,
    seats: Seats | None = None,
    read: Read = None,
) -> Tensor:
    """One pre-norm residual block of open_clip, image or text; x may be packed, with its `seats`."""
    attention, normed, width = block.attn, block.ln_1(x), x.shape[-1]
    query = project_rows(attention, _take(normed, read), 0, width, "in_proj_")
    key, value = project_rows(attention, normed, width, 3 * width, "in_proj_").chunk(2, dim=-1)
    mixed = _mix(query, key, value, attention.num_heads, mask, seats)
    own = _take(x, read) + block.ls_1(attention.out_proj(mixed))
    return own + block.ls_2(block.mlp(block.ln_2(own)))


def capture_open_clip_block(
    block: Any, x: Tensor, mask: Tensor | None, capture: list[BlockParts], read: Read = None
) -> Tensor:
    """What `run_open_clip_block` gives for pictures, its parts appended to `capture`; all tokens attend."""
    attention, normed = block.attn, block.ln_1(x)
    joint = F.linear(normed, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (split_heads(part, attention.num_heads) for part in joint.chunk(3, dim=-1))
    weights = _place_for(capture)
    mixed = attend(query, key, value, mask, weights)
    own = _take(x, read) + block.ls_1(attention.out_proj(_take(mixed, read)))
    out = own + block.ls_2(block.mlp(block.ln_2(own)))
    _note(capture, weights, x, normed, query, key, value, mixed, out)
    return out


def _place_for(capture: list[BlockParts] | None) -> list[Tensor] | None:
    """Where `attend` leaves open weights, if they are wanted."""
    return None if capture is None else []


def _take_mixed(mixed: Tensor, capture: list[BlockParts] | None, read: Read) -> Tensor:
    """Attention of the tokens that are read; without capture it holds no others."""
    return mixed if capture is None else _take(mixed, read)


def _note(capture: list[BlockParts] | None, weights: list[Tensor] | None, *parts: Tensor) -> None:
    """Append a block's parts; the others in the order of `BlockParts`."""
    if capture is not None and weights is not None:
        enters, normed, query, key, value, mixed, leaves = parts
        capture.append(BlockParts(enters, normed, query, key, value, weights[0], mixed, leaves))


def run_bert_layer(
    layer: Any, x: Tensor, mask: Tensor | None, dropout: bool, seats: Seats | None = None, read: Read = None
) -> Tensor:
    """One post-norm layer of BERT; x may be packed, with its `seats`. dropout: its own probabilities are active."""
    attention, joined, output = layer.attention.self, layer.attention.output, layer.output
    own = _take(x, read)
    query, key, value = attention.query(own), attention.key(x), attention.value(x)
    probability = attention.dropout.p if dropout else 0.0
    mixed = _mix(query, key, value, attention.num_attention_heads, mask, seats, dropout=probability)
    own = joined.LayerNorm(drop(joined.dense(mixed), joined.dropout.p, dropout) + own)
    return output.LayerNorm(drop(output.dense(layer.intermediate(own)), output.dropout.p, dropout) + own)


class Seats:
    """Where the real tokens of a batch of texts sit: rows (tokens, width) here, a padded grid in attention.

    mask: (texts, length), True on real tokens.
    """

    def __init__(self, mask: Tensor) -> None:
        self.shape = tuple(mask.shape)
        self.index = mask.flatten().nonzero().squeeze(1)
        self._rows = torch.zeros(self.shape, dtype=torch.int64, device=mask.device)
        self._rows[mask] = torch.arange(len(self.index), device=mask.device)

    def pack(self, grid: Tensor) -> Tensor:
        """(texts, length, width) to (tokens, width)."""
        return grid.flatten(0, 1).index_select(0, self.index)

    def spread(self, rows: Tensor) -> Tensor:
        """(tokens, width) to (texts, length, width), zero on padding."""
        texts, length = self.shape
        grid = rows.new_zeros(texts * length, rows.shape[-1])
        return grid.index_copy(0, self.index, rows).view(texts, length, -1)

    def rows(self, positions: Tensor) -> Tensor:
        """Packed rows of one position (texts,) a text."""
        return self._rows[torch.arange(len(positions), device=positions.device), positions]


def _mix(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    mask: Tensor | None,
    seats: Seats | None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention of projected tokens, padded or packed, in the shape of the queries."""
    one_each = seats is not None and len(query) != len(key)
    if seats is not None:
        query = query[:, None] if one_each else seats.spread(query)
        key, value = seats.spread(key), seats.spread(value)
    query, key, value = (split_heads(part, heads) for part in (query, key, value))
    mixed = attend(query, key, value, mask, dropout=dropout)
    if seats is None:
        return mixed
    return mixed[:, 0] if one_each else seats.pack(mixed)


def _take(x: Tensor, read: Read) -> Tensor:
    """The tokens whose output is asked for."""
    if read is None:
        return x
    return x[:, :read] if isinstance(read, int) else x[read]


def drop(x: Tensor, probability: float, active: bool) -> Tensor:
    """Dropout that is asked for by an argument and not by the module's mode: frozen towers stay in eval mode."""
    if not active or x.device.type != "cpu":
        return F.dropout(x, probability, training=active)
    # a processor draws random bits one after the other: 16 decide as well as the 64 that PyTorch takes for each number
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = bits[: x.numel()].view(x.shape) >= round(probability * 2**16) - 2**15
    return x * (kept / (1 - probability)).to(x.dtype)
