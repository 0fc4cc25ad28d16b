"""Copies of frozen blocks whose matrices are kept in a shorter floating-point type."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

ROWS_AT_ONCE = 64
"""Tokens that packed matrices are laid out for; any other number works too."""
NEEDED_OPERATIONS = ("_is_mkldnn_bf16_supported", "_reorder_linear_weight", "_linear_pointwise")


def shorten(blocks: Sequence[nn.Module], dtype: torch.dtype, packed: bool = False) -> list[nn.Module]:
    """Blocks with their large matrices in `dtype`, to be run under autocast of that type.

    Autocast alone would shorten every matrix anew in each pass, since it keeps only those that are trained. Norms and
    all else are shared with the originals and stay as they are. packed: linear layers as `PackedLinear`, see
    `can_pack`.
    """
    shared = {id(tensor): tensor for block in blocks for tensor in (*block.parameters(), *block.buffers())}
    largest = max((tensor.numel() for tensor in shared.values()), default=0)
    copies = copy.deepcopy(list(blocks), shared)
    # one place for all: freed pieces of many sizes would stay with the process
    scratch = torch.empty(largest if packed else 0, dtype=dtype)
    for module in (module for block in copies for module in block.modules()):
        if isinstance(module, (nn.Linear, nn.MultiheadAttention)):
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(parameter.to(dtype), requires_grad=False))
        elif packed:
            for name, child in module.named_children():
                if type(child) is nn.Linear:
                    setattr(module, name, PackedLinear(child, scratch))
    return copies


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether matrices of that type are packed here: on processors with bf16 instructions, by the library oneDNN."""
    return (
        device.type == "cpu"
        and dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in NEEDED_OPERATIONS)
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class PackedLinear(nn.Module):
    """A frozen linear layer whose matrix is laid out once as the processor's matrix units read it.

    An ordinary layer is laid out anew in each product, which with the few tokens of prompts takes as long as the
    product itself. Gradients reach the input, through a second matrix laid out for the way back: twice the memory.
    scratch: room for the matrix, in the type it is kept in.
    """

    def __init__(self, linear: nn.Linear, scratch: Tensor) -> None:
        super().__init__()
        weight, self._dtype = linear.weight.detach(), scratch.dtype
        self._bias = None if linear.bias is None else linear.bias.detach().to(self._dtype)
        room = scratch[: weight.numel()]
        self._there, self._back = (
            torch.ops.mkldnn._reorder_linear_weight(room.view(matrix.shape).copy_(matrix), ROWS_AT_ONCE)
            for matrix in (weight, weight.T)
        )

    def forward(self, x: Tensor) -> Tensor:
        return _PackedProduct.apply(x.to(self._dtype), self._there, self._bias, self._back)


class _PackedProduct(torch.autograd.Function):
    """x W^T + b; the gradient of x is that of the result times W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, bias: Tensor | None, back: Tensor) -> Tensor:
        ctx.back = back
        return _product(x, there, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _product(gradients[0], ctx.back, None), None, None, None


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), packed, bias, "none", [], "")
