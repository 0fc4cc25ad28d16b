"""Extra vectors in a tower's token sequence, and attention weights with the places of what stands in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerTokens:
    """Extra vectors that stand at fixed positions of a tower's token sequence.

    vectors: one entry a layer, the first for layer 0; each (n, width) or (batch, n, width), or None where the tokens
    are left to evolve. Layers beyond the end are left alone too. mode "replace" overwrites positions start..start+n-1
    at each listed layer; "insert" lengthens the sequence at the first listed layer (before position `start`, or at
    the end for start = -1) and overwrites those positions at later ones. Layer 0 of the image tower means: after the
    position embeddings, before the pre-norm where one exists. Layer 0 of the text tower means: after the embedding
    block (positions and its LayerNorm included).
    """

    vectors: tuple[Tensor | None, ...]
    mode: Literal["insert", "replace"] = "insert"
    start: int = 1

    @classmethod
    def zeros(
        cls, n: int, width: int, layers: int, mode: Literal["insert", "replace"] = "replace", start: int = 1
    ) -> LayerTokens:
        """n zero vectors, set anew at the input of each of the first `layers` layers."""
        return cls(tuple(torch.zeros(n, width) for _ in range(layers)), mode, start)

    @property
    def n(self) -> int:
        """How many positions the vectors take."""
        return next(v.shape[-2] for v in self.vectors if v is not None)

    def sets_anew(self, layer: int) -> bool:
        """Whether what stands at these positions is thrown away at the input of `layer`."""
        return layer < len(self.vectors) and self.vectors[layer] is not None

    def key(self) -> str:
        """A text that is equal for equal tokens; part of the feature cache's address."""
        sha = hashlib.sha256(f"{self.mode}|{self.start}|{len(self.vectors)}".encode())
        for vector in self.vectors:
            sha.update(b"-" if vector is None else vector.detach().float().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()[:16]


@dataclass(frozen=True)
class ImageAttention:
    """Attention weights of the image tower.

    weights: (layers, batch, heads, tokens, tokens), rows sum to 1. class_token: its position. extra: positions of
    inserted or replaced vectors. patches: positions of picture patches, row by row. patch_index: for each of
    `patches`, its cell in the grid (row * columns + column); with "replace" some cells are missing.
    """

    weights: Tensor
    class_token: int
    extra: tuple[int, ...]
    patches: tuple[int, ...]
    patch_index: tuple[int, ...]
    grid: tuple[int, int]
