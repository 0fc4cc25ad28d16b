"""What one pass through the image tower leaves open: each block's parts, and where its tokens stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core.backbones.token_places import ImageAttention, LayerTokens


@dataclass(frozen=True)
class BlockParts:
    """The parts of one pre-norm block, in the graph of the pass.

    enters: (batch, tokens, width), what the block was given, extra vectors in place. normed: the same shape, output of
    its first norm. query, key, value: (batch, heads, tokens, width / heads), as they meet in the product. weights:
    (batch, heads, tokens, tokens), rows sum to 1. mixed: (batch, tokens, width), weights times values, heads side by
    side, before the output projection. leaves: what the block gives; after the last block of `encode_images` only its
    first token, which is read.
    """

    enters: Tensor
    normed: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    mixed: Tensor
    leaves: Tensor


@dataclass(frozen=True)
class TokenLayout:
    """Where tokens stand in the last block, as in `ImageAttention`.

    class_token: its position. extra: positions of inserted or replaced vectors. patches: positions of picture patches,
    row by row. patch_index: for each of `patches` its cell in the grid; replaced cells are missing.
    """

    class_token: int
    extra: tuple[int, ...]
    patches: tuple[int, ...]
    patch_index: tuple[int, ...]
    grid: tuple[int, int]


@dataclass(frozen=True)
class AttentionOutput:
    """How a block writes what attention mixed: hidden + scale * (weight @ mixed + bias).

    weight: (width, width); head i reads its columns i * d .. (i + 1) * d - 1. bias: (width,). scale: (width,), ones
    where the tower has no LayerScale.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor


@dataclass
class TowerPass:
    """One pass of one thread through the image tower, block by block.

    tokens: the extra vectors it was given. layout: of its last block. blocks: fills as the pass goes.
    """

    tokens: LayerTokens | None
    layout: TokenLayout
    blocks: list[BlockParts]

    def reset_at(self, layer: int) -> tuple[int, ...]:
        """Positions whose content is thrown away and set anew at the input of block `layer`.

        Extra positions that no vector is listed for at this layer evolve like any other token.
        """
        return self.layout.extra if self.tokens is not None and self.tokens.sets_anew(layer) else ()

    def spread(self, values: Tensor) -> Tensor:
        """Values of any block's tokens (..., tokens) at their places in the last block; 0 for tokens still to come."""
        total = self.blocks[-1].enters.shape[1]
        if values.shape[-1] == total:
            return values
        wide = values.new_zeros(*values.shape[:-1], total)
        wide[..., [p for p in range(total) if p not in self.layout.extra]] = values
        return wide

    def widen(self, layer: int, matrix: Tensor, diagonal: float) -> Tensor:
        """(..., tokens, tokens) of block `layer` in the shape of the last block.

        Where vectors enter after that block, their rows and columns are 0 but for `diagonal` at the crossing.
        """
        total = self.blocks[-1].weights.shape[-1]
        if matrix.shape[-1] == total:
            return matrix
        old = torch.tensor([p for p in range(total) if p not in self.layout.extra], device=matrix.device)
        wide = diagonal * torch.eye(total, dtype=matrix.dtype, device=matrix.device).repeat(*matrix.shape[:-2], 1, 1)
        wide[..., old[:, None], old[None, :]] = matrix
        return wide

    @cached_property
    def attention(self) -> ImageAttention:
        """All weights without gradient, float32. A token that did not exist yet looks at itself alone."""
        with torch.no_grad():
            weights = torch.stack([self.widen(i, b.weights.detach().float(), 1.0) for i, b in enumerate(self.blocks)])
        layout = self.layout
        return ImageAttention(
            weights, layout.class_token, layout.extra, layout.patches, layout.patch_index, layout.grid
        )
