"""Where the large matrices of both towers stand, so that methods can put others in their place.

A backbone that several models share is never changed: `Backbone.with_own_weights` gives a shell that has modules of its
own around the same tensors, and only in such a shell is anything placed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock
from timm.models.vision_transformer import Block as TimmBlock
from torch import Tensor, nn

from core.errors import InvalidInput

PARTS = ("q", "k", "v", "o", "fc1", "fc2")
"""Queries, keys, values and output of attention, and the two layers behind it."""
Tower = Literal["image", "text"]
Added = Callable[[Tensor], Tensor]
"""What one matrix's product gets on top: input (..., in) to (..., out)."""


@dataclass(frozen=True)
class Matrix:
    """One matrix of a block. weight: (out, in), frozen; rows from `start` of the owner's tensor `attribute`."""

    tower: Tower
    layer: int
    part: str
    owner: nn.Module
    attribute: str
    start: int
    weight: Tensor

    @property
    def name(self) -> str:
        """Unique in a backbone, such as "image_3_fc1"."""
        return f"{self.tower}_{self.layer}_{self.part}"

    @property
    def end(self) -> int:
        """Row behind the last."""
        return self.start + len(self.weight)


def tower_matrices(tower: Tower, blocks: Sequence[nn.Module]) -> list[Matrix]:
    """The six matrices of each block, in order. Raises InvalidInput for a block of another build."""
    return [matrix for layer, block in enumerate(blocks) for matrix in _of_block(tower, layer, block)]


def _of_block(tower: Tower, layer: int, block: Any) -> list[Matrix]:
    joint: Any
    others: list[Any]
    if type(block) is TimmBlock:
        joint, key = block.attn.qkv, "weight"
        others = [block.attn.proj, getattr(block.mlp, "fc1", None), getattr(block.mlp, "fc2", None)]
    elif type(block) is ResidualAttentionBlock:
        joint, key = block.attn, "in_proj_weight"
        others = [block.attn.out_proj, block.mlp[0], block.mlp[-1]]
    else:
        own = block.attention.self
        parts = [own.query, own.key, own.value, block.attention.output.dense]
        parts += [block.intermediate.dense, block.output.dense]
        return [Matrix(tower, layer, n, m, "weight", 0, m.weight) for n, m in zip(PARTS, parts, strict=True)]
    if not all(isinstance(each, nn.Linear) for each in others):
        raise InvalidInput(
            "Blocks with attention and two plain linear layers behind it",
            f"layer {layer} of the {tower} tower has {type(block.mlp).__name__}",
            "Choose another backbone or method.",
        )
    thirds = getattr(joint, key).chunk(3)
    rows = [
        Matrix(tower, layer, n, joint, key, i * len(w), w) for i, (n, w) in enumerate(zip("qkv", thirds, strict=True))
    ]
    return rows + [Matrix(tower, layer, n, m, "weight", 0, m.weight) for n, m in zip(PARTS[3:], others, strict=True)]


def place_weights(matrices: Sequence[Matrix], weights: Mapping[str, Tensor]) -> None:
    """Put weights (out, in) by `Matrix.name` into the shell, gradients and all; without one the frozen one stays."""
    for (owner, attribute), rows in _by_owner(matrices).items():
        found = [weights.get(matrix.name, matrix.weight) for matrix in rows]
        place_tensor(owner, attribute, found[0] if len(found) == 1 else torch.cat(found))


def place_tensor(owner: nn.Module, attribute: str, tensor: Tensor) -> None:
    """Let a module of a shell use this tensor for its parameter of that name."""
    owner._parameters.pop(attribute, None)
    # kept beside the parameters, so that it may be part of a graph
    owner.__dict__[attribute] = tensor


def weights_of(block: nn.Module) -> list[Tensor]:
    """All weights of a block: its parameters, and the tensors that were placed instead of some."""
    placed = [value for module in block.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return [*block.parameters(), *placed]


def place_added(matrices: Sequence[Matrix], added: Mapping[str, Added]) -> None:
    """Let the products of these matrices get something on top, by `Matrix.name`; an empty mapping takes all away."""
    for (owner, _), rows in _by_owner(matrices).items():
        owner.__dict__.pop("added", None)
        owner.__dict__.pop("forward", None)
        if any(matrix.name in added for matrix in rows):
            owner.__dict__["added"] = _Sum([(matrix, added.get(matrix.name)) for matrix in rows])
            if isinstance(owner, nn.Linear):
                owner.__dict__["forward"] = _WithAdded(owner)


def project_rows(layer: Any, x: Tensor, start: int, end: int, prefix: str = "") -> Tensor:
    """Output features start..end of a layer, with what was added to it. prefix: of the names of weight and bias."""
    weight, bias = getattr(layer, f"{prefix}weight"), getattr(layer, f"{prefix}bias")
    found = F.linear(x, weight[start:end], None if bias is None else bias[start:end])
    more = layer.__dict__.get("added")
    return found if more is None else found + more(x, start, end)


@dataclass(frozen=True)
class _Sum:
    """What a module's product gets on top, part by part."""

    parts: list[tuple[Matrix, Added | None]]

    def __call__(self, x: Tensor, start: int, end: int) -> Tensor:
        inside = [(matrix, add) for matrix, add in self.parts if start <= matrix.start and matrix.end <= end]
        found = [x.new_zeros(*x.shape[:-1], len(matrix.weight)) if add is None else add(x) for matrix, add in inside]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-1)


@dataclass(frozen=True)
class _WithAdded:
    """The forward of a linear layer that something was added to."""

    layer: Any

    def __call__(self, x: Tensor) -> Tensor:
        return project_rows(self.layer, x, 0, len(self.layer.weight))


def _by_owner(matrices: Sequence[Matrix]) -> dict[tuple[nn.Module, str], list[Matrix]]:
    found: dict[tuple[nn.Module, str], list[Matrix]] = {}
    for matrix in matrices:
        found.setdefault((matrix.owner, matrix.attribute), []).append(matrix)
    return found
