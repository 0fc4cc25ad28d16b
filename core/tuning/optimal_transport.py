"""Optimal transport between two sets of vectors, by Sinkhorn's iteration in the log domain."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMOOTHING = 0.1
TOLERANCE = 0.01
MOST_ITERATIONS = 100
"""PLOT's settings: entropic weight, mean change of a row's scaling that ends the iteration, and its bound."""


@torch.no_grad()
def transport_plan(similarity: Tensor, stop_together: bool = False) -> Tensor:
    """How much of each row goes to each column: (..., rows, columns), float32 or wider, no gradient, sums to 1.

    similarity: cosines (..., rows, columns); moving costs 1 minus them. Rows and columns have uniform shares; columns
    end exactly at theirs, rows within the tolerance. Each problem stops by itself; stop_together: all of them when the
    change averaged over all is small, as published, so that what a problem gives depends a little on its neighbours.
    Source: PLOT (Chen et al., 2023), algorithm 1, with r and c as logarithms.
    """
    kernel = (similarity.float() if similarity.dtype in (torch.float16, torch.bfloat16) else similarity) - 1
    kernel = kernel / SMOOTHING
    row_share, column_share = -math.log(kernel.shape[-2]), -math.log(kernel.shape[-1])
    rows, columns = torch.zeros_like(kernel[..., 0]), torch.zeros_like(kernel[..., 0, :])
    moving = torch.ones_like(rows[..., :1], dtype=torch.bool)
    for _ in range(MOST_ITERATIONS):
        new_rows = row_share - (kernel + columns[..., None, :]).logsumexp(dim=-1)
        new_columns = column_share - (kernel + new_rows[..., None]).logsumexp(dim=-2)
        change = (new_rows.exp() - rows.exp()).abs().mean(dim=-1, keepdim=True)
        rows, columns = torch.where(moving, new_rows, rows), torch.where(moving, new_columns, columns)
        moving = moving & ((change.mean() if stop_together else change) >= TOLERANCE)
        if not bool(moving.any()):
            break
    return (kernel + rows[..., None] + columns[..., None, :]).exp()


def transport_scores(images: Tensor, texts: Tensor, stop_together: bool = False) -> Tensor:
    """Similarity of each image's set with each class's set under their plan: (batch, classes), in [-1, 1].

    images: unit-norm (batch, members, width). texts: unit-norm (sets, classes, width).
    """
    similarity = torch.einsum("bmd,ncd->bcmn", images, texts)
    return (transport_plan(similarity, stop_together).to(similarity) * similarity).sum(dim=(-2, -1))


def shared_out(scores: Tensor, expected: Tensor, steps: int) -> Tensor:
    """Each row shared out among columns: (rows, columns), rows sum to 1, columns nearly to expected x rows.

    scores: (rows, columns), logarithms up to a constant. expected: (columns,), above 0, of sum 1. steps: 0 gives each
    row's soft-max. Ends on rows, so that each stays a distribution. Source: SS-Text-U, its pseudo-labels.
    """
    plan = scores.double()
    wanted = expected.double().log() + math.log(max(1, len(plan)))
    for _ in range(steps):
        plan = plan - plan.logsumexp(dim=0) + wanted
        plan = plan - plan.logsumexp(dim=1, keepdim=True)
    return plan.softmax(dim=1).to(scores)
