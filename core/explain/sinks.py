"""Attention sinks of one block's heads: where attention gathers, what is written from there, and of which kind it is.

Rows of attention are queries; all tokens count, class token and added vectors among them. u_j is what a head writes of
token j: gamma * W_O[:, head] v_j. U = A u is the head's whole update of the residual path.

Sources. Column sums and concentration: the post "Anatomy of Attention Sinks in Vision
Transformers", owenzlz.github.io, 2026-03-31. Sink token, sink
event, value-norm ratio, stable rank, and the thresholds of both kinds: arXiv 2606.08105 and its code,
KempnerInstitute/attention_sink, commit a83cd59. Massive activations: Sun et al., Massive Activations in Large Language
Models, 2024, and locuslab/massive-activations, commit 6521c05 (MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.backbones.tower_pass import AttentionOutput

SINK_QUERIES = 0.9
"""A sink event: at least this part of all queries ..."""
SINK_WEIGHT = 0.5
"""... put at least this much of their attention on one token."""
NOP_RATIO = 0.2
"""A NOP event: a sink event whose token is written at most this long, against the mean of the others."""
BROADCAST_RATIO = 0.5
"""A broadcast event: a sink event whose token is written at least this long ..."""
BROADCAST_RANK = 1.5
"""... while the head's update has at most this stable rank: every token receives nearly the same vector."""
MASSIVE_VALUE = 100.0
MASSIVE_MEDIANS = 1000.0
"""A massive activation exceeds both: this value, and so many times the median of absolute values."""
LEAST_MEDIAN = 1e-12
"""Softmax in float32 can leave most tokens at exactly 0; ratios to their median stay finite."""
USUAL_HEAD = 0.5
"""Over several images a head has a label if it shows a sink event on more than this part of them (our own choice)."""

Kind = Literal["NOP-like", "broadcast-like", "mixed"]
KINDS: tuple[Kind, ...] = ("NOP-like", "broadcast-like", "mixed")
"""What a sink event is: it writes next to nothing; it writes one vector to everybody; or neither."""

MEANINGS: dict[str, str] = {
    "NOP-like": f"attention is parked where the head writes next to nothing (ratio at most {NOP_RATIO:g})",
    "broadcast-like": (
        f"every token is given nearly the same vector (ratio at least {BROADCAST_RATIO:g}, stable rank at most "
        f"{BROADCAST_RANK:g})"
    ),
    "mixed": "attention gathers on one token, but the head does neither of both",
}


@dataclass(frozen=True)
class HeadSinks:
    """Measures of one block, float64 on the CPU.

    column_sums: (images, heads, tokens), 1 where attention is even. ratios: the same shape, length of what is written
    of each token over the mean of the others. The rest is (images, heads). sink: position of the token that receives
    most. mass: its mean over queries. routed: part of the queries that put half or more there; least: the smallest any
    query puts there. rho_head: the sink's ratio by values alone, before the output. block_concentration: (images,),
    largest over median column sum of the mean over heads.
    """

    column_sums: np.ndarray
    ratios: np.ndarray
    concentration: np.ndarray
    block_concentration: np.ndarray
    sink: np.ndarray
    mass: np.ndarray
    routed: np.ndarray
    least: np.ndarray
    rho_out: np.ndarray
    rho_head: np.ndarray
    stable_rank: np.ndarray
    effective_rank: np.ndarray

    @property
    def event(self) -> np.ndarray:
        """Whether a head shows a sink event: bool (images, heads)."""
        found: np.ndarray = self.routed >= SINK_QUERIES
        return found

    def kind(self, image: int, head: int) -> Kind | None:
        """What the sink event of a head is on an image, None without one."""
        if not self.event[image, head]:
            return None
        return kind_of_sink(float(self.rho_out[image, head]), float(self.stable_rank[image, head]))


def kind_of_sink(rho_out: float, stable_rank: float) -> Kind:
    """The kind of a sink event by its value-norm ratio and the stable rank of the head's update."""
    if rho_out <= NOP_RATIO:
        return "NOP-like"
    if rho_out >= BROADCAST_RATIO and stable_rank <= BROADCAST_RANK:
        return "broadcast-like"
    return "mixed"


def kind_of_head(kinds: Sequence[Kind | None]) -> Kind | None:
    """A head's label over images: None unless more than half show an event; then what most events are, or mixed."""
    events = [kind for kind in kinds if kind is not None]
    if len(events) <= USUAL_HEAD * len(kinds):
        return None
    for kind in KINDS:
        if events.count(kind) > len(events) / 2:
            return kind
    return "mixed"


def measure_heads(weights: Tensor, value: Tensor, output: AttentionOutput) -> HeadSinks:
    """All measures of one block.

    weights: (images, heads, tokens, tokens), rows sum to 1. value: (images, heads, tokens, width of a head).
    """
    weights, value = weights.detach().cpu().double(), value.detach().cpu().double()
    short = short_output(output, value.shape[1])
    written = value @ short.transpose(-1, -2)
    sums = weights.sum(dim=2)
    mean, sink = (sums / weights.shape[2]).max(dim=2)
    received = weights.gather(3, sink[:, :, None, None].expand(*weights.shape[:3], 1))[..., 0]
    ratios = norm_ratios(written)
    stable, effective = ranks(weights @ written)
    return HeadSinks(
        sums.numpy(),
        ratios.numpy(),
        _concentration(sums),
        _concentration(sums.mean(dim=1)),
        sink.numpy(),
        mean.numpy(),
        (received >= SINK_WEIGHT).double().mean(dim=2).numpy(),
        received.amin(dim=2).numpy(),
        _at(ratios, sink),
        _at(norm_ratios(value), sink),
        stable.numpy(),
        effective.numpy(),
    )


def short_output(output: AttentionOutput, heads: int) -> Tensor:
    """For each head a matrix (d, d) that gives vectors the lengths and products that its output gives them.

    (heads, d, d), float64: the triangle of the QR form of gamma * W_O[:, head], so that no vector of full width is
    needed for norms and singular values.
    """
    whole = output.weight.detach().cpu().double() * output.scale.detach().cpu().double()[:, None]
    return torch.linalg.qr(whole.unflatten(1, (heads, -1)).transpose(0, 1), mode="r").R


def norm_ratios(vectors: Tensor) -> Tensor:
    """Length of each token's vector over the mean length of the others: (..., tokens, width) to (..., tokens)."""
    lengths = vectors.norm(dim=-1)
    others = (lengths.sum(dim=-1, keepdim=True) - lengths) / (lengths.shape[-1] - 1)
    return lengths / others.clamp(min=torch.finfo(lengths.dtype).tiny)


def ranks(update: Tensor) -> tuple[Tensor, Tensor]:
    """Stable and effective rank of updates (..., tokens, width), each (...,); 0 for an update of zeros.

    Stable: squared Frobenius norm over the largest squared singular value. Effective: exp of the entropy of the
    singular values made to sum to 1 (Roy and Vetterli, 2007).
    """
    squares = torch.linalg.eigvalsh(update.transpose(-1, -2) @ update).clamp(min=0)
    largest = squares[..., -1]
    there = largest > 0
    stable = torch.where(there, squares.sum(dim=-1) / largest.clamp(min=torch.finfo(largest.dtype).tiny), 0.0)
    sizes = squares.sqrt()
    shares = sizes / sizes.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
    return stable, torch.where(there, torch.special.entr(shares).sum(dim=-1).exp(), 0.0)


def massive_activations(hidden: Tensor) -> dict[str, Any]:
    """The largest absolute values of what a block gives (images, tokens, width), against their median.

    JSON-ready: largest (three), median, over_median, massive (whether the largest exceeds 100 and 1,000 medians).
    """
    sizes = hidden.detach().cpu().float().abs().flatten()
    top, median = sizes.topk(min(3, len(sizes))).values.tolist(), float(sizes.median())
    massive = top[0] > MASSIVE_VALUE and top[0] > MASSIVE_MEDIANS * median
    return {
        "largest": top,
        "median": median,
        "over_median": top[0] / median if median > 0 else None,
        "massive": massive,
    }


def _concentration(sums: Tensor) -> np.ndarray:
    """Largest over median of (..., tokens): (...,); a median below `LEAST_MEDIAN` counts as that much."""
    values = sums.numpy()
    found: np.ndarray = values.max(axis=-1) / np.maximum(np.median(values, axis=-1), LEAST_MEDIAN)
    return found


def _at(values: Tensor, sink: Tensor) -> np.ndarray:
    found: np.ndarray = values.gather(2, sink[..., None])[..., 0].numpy()
    return found
