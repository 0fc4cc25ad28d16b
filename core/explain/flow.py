"""Products of token-to-token matrices through the layers, where some tokens are thrown away on the way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def through_layers(matrices: Sequence[Tensor], resets: Sequence[Sequence[int]]) -> Tensor:
    """What reaches each token from each input: (tokens, tokens), rows are those that receive.

    matrices: one a layer, the first first, (tokens, tokens). resets: positions set anew at the input of that layer;
    what stood there is thrown away, so their rows begin again as the identity. Positions that are left to evolve are
    not among them.
    """
    identity = torch.eye(matrices[0].shape[-1], dtype=matrices[0].dtype, device=matrices[0].device)
    flow = identity.clone()
    for matrix, positions in zip(matrices, resets, strict=True):
        flow[list(positions)] = identity[list(positions)]
        flow = matrix @ flow
    return flow
