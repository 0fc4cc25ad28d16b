"""Copies of frozen blocks whose matrices are kept in a shorter floating-point type."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn


def shorten(blocks: Sequence[nn.Module], dtype: torch.dtype) -> list[nn.Module]:
    """Blocks with their large matrices in `dtype`, to be run under autocast of that type.

    Autocast alone would shorten every matrix anew in each pass, since it keeps only those that are trained. Norms and
    all else are shared with the originals and stay as they are.
    """
    shared = {id(tensor): tensor for block in blocks for tensor in (*block.parameters(), *block.buffers())}
    copies = copy.deepcopy(list(blocks), shared)
    for module in (module for block in copies for module in block.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(module, (nn.Linear, nn.MultiheadAttention)):
                setattr(module, name, nn.Parameter(parameter.to(dtype), requires_grad=False))
    return copies
