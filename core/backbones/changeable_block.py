"""A self-attention block taken apart: what each head reads, how it weighs and what it writes.

One form for timm's blocks and open_clip's, so that experiments can change the mixing, the values or single hidden
units. Run without a change the parts give what the block gives, up to the order of floating-point sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock
from timm.layers import Attention, Mlp
from timm.models.vision_transformer import Block as TimmBlock
from torch import Tensor, nn

from core.backbones.attention import split_heads
from core.errors import Unavailable

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values (batch, heads, tokens, width of a head) to mixed values of that shape."""
ChangeHidden = Callable[[Tensor], Tensor]
"""Activated hidden units (batch, tokens, units) to what takes their place."""


@dataclass(frozen=True)
class ChangeableBlock:
    """One block. qkv: (batch, tokens, width) after the first norm to queries, keys and values by head.

    write: mixed values (batch, tokens, width) to the update of the residual path, layer scale included. output_weight:
    (width, width), gamma: layer scale (width,) or None: the linear part of `write`. activate, finish: both halves of
    the second part, or None where it is of another build.
    """

    heads: int
    norm: Callable[[Tensor], Tensor]
    qkv: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
    write: Callable[[Tensor], Tensor]
    output_weight: Tensor
    gamma: Tensor | None
    second: Callable[[Tensor], Tensor]
    activate: Callable[[Tensor], Tensor] | None
    finish: Callable[[Tensor], Tensor] | None

    def run(self, x: Tensor, mix: Mix | None = None, change_hidden: ChangeHidden | None = None) -> Tensor:
        """The block's output (batch, tokens, width), with the mixing of values or the hidden units changed."""
        query, key, value = self.qkv(self.norm(x))
        mixed = (mix or F.scaled_dot_product_attention)(query, key, value)
        x = x + self.write(mixed.transpose(1, 2).flatten(2))
        if change_hidden is None:
            return x + self.second(x)
        if self.activate is None or self.finish is None:
            raise Unavailable(
                "Hidden units can be changed in plain two-layer parts", "this tower's are of another build"
            )
        return x + self.finish(change_hidden(self.activate(x)))

    @cached_property
    def head_outputs(self) -> Tensor:
        """What each head writes of a value: (heads, width, width of a head), layer scale included, float64."""
        weight = self.output_weight.double()
        if self.gamma is not None:
            weight = weight * self.gamma.double()[:, None]
        return weight.unflatten(1, (self.heads, -1)).transpose(0, 1)

    @cached_property
    def grams(self) -> Tensor:
        """W^T W of each head's output: (heads, d, d), float64; v^T G v is the squared length of what v becomes."""
        return self.head_outputs.transpose(1, 2) @ self.head_outputs

    def written_lengths(self, value: Tensor) -> Tensor:
        """Length of what heads write of each token: values (batch, heads, tokens, d) to (batch, heads, tokens)."""
        squares = (value @ self.grams.to(value) * value).sum(dim=-1)
        return squares.clamp(min=0).sqrt()


def changeable(block: nn.Module) -> ChangeableBlock:
    """A block in this form. Raises Unavailable for a kind that is not known."""
    if type(block) is TimmBlock and type(block.attn) is Attention:
        return _timm(block)
    if type(block) is ResidualAttentionBlock:
        return _open_clip(block)
    raise Unavailable("Blocks of timm's or open_clip's vision transformer", f"found {type(block).__name__}")


def _timm(block: Any) -> ChangeableBlock:
    attention, mlp = block.attn, block.mlp
    heads = attention.num_heads

    def qkv(normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (split_heads(part, heads) for part in attention.qkv(normed).chunk(3, dim=-1))
        return attention.q_norm(query), attention.k_norm(key), value

    plain = type(mlp) is Mlp
    return ChangeableBlock(
        heads=heads,
        norm=block.norm1,
        qkv=qkv,
        write=lambda mixed: block.ls1(attention.proj(attention.norm(mixed))),
        output_weight=attention.proj.weight,
        gamma=getattr(block.ls1, "gamma", None),
        second=lambda x: block.ls2(mlp(block.norm2(x))),
        activate=(lambda x: mlp.act(mlp.fc1(block.norm2(x)))) if plain else None,
        finish=(lambda hidden: block.ls2(mlp.fc2(mlp.norm(hidden)))) if plain else None,
    )


def _open_clip(block: Any) -> ChangeableBlock:
    attention, mlp = block.attn, block.mlp
    heads = attention.num_heads

    def qkv(normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        joint = F.linear(normed, attention.in_proj_weight, attention.in_proj_bias)
        query, key, value = (split_heads(part, heads) for part in joint.chunk(3, dim=-1))
        return query, key, value

    return ChangeableBlock(
        heads=heads,
        norm=block.ln_1,
        qkv=qkv,
        write=lambda mixed: block.ls_1(attention.out_proj(mixed)),
        output_weight=attention.out_proj.weight,
        gamma=getattr(block.ls_1, "gamma", None),
        second=lambda x: block.ls_2(mlp(block.ln_2(x))),
        activate=lambda x: mlp[:-1](block.ln_2(x)),
        finish=lambda hidden: block.ls_2(mlp[-1](hidden)),
    )
