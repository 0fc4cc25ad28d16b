"""Loss terms that several methods share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from core.tuning.option import option


def softmax_over_option() -> Any:
    """The option of what the soft-max of `text_to_text` runs over."""
    return option(
        "learned",
        "What the soft-max of text-to-text terms runs over: the learned texts, as codes do, or the written ones, as "
        "papers say.",
        choices=("learned", "written"),
        advanced=True,
    )


def anchor_distance(texts: Tensor, anchors: Tensor) -> Tensor:
    """Mean absolute difference of learned and frozen class features (classes, joint_width), over all elements.

    Source: Biomed-DPT, semantic consistency term.
    """
    return (texts - anchors).abs().mean()


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence from the teacher's distribution to the student's, divided by images x classes.

    student, teacher: logits (batch, classes). The published trainers divide by the number of elements, not by the
    batch, which their loss weights are tuned for. Source: BiomedCoOp and Biomed-DPT, distillation term.
    """
    pair = functional.log_softmax(student, dim=-1), functional.log_softmax(teacher, dim=-1)
    return functional.kl_div(*pair, reduction="sum", log_target=True) / student.numel()


def knowledge_distance(texts: Tensor, known: Tensor) -> Tensor:
    """1 - mean cosine of learned and frozen class features (classes, joint_width); a scalar in [0, 2].

    Source: KgCoOp, its regularising term.
    """
    return 1 - functional.cosine_similarity(texts, known, dim=-1, eps=1e-7).mean()


def text_to_text(learned: Tensor, written: Tensor, scale: float | Tensor, axis: str) -> Tensor:
    """Cross-entropy of class texts recognised among class texts, a mean over classes and sentences.

    learned: (classes, width). written: (sentences, classes, width). axis "learned": for each written text the soft-max
    runs over the learned ones, as published code has it; "written": each learned text is classified against the written
    ones, as LASP's paper says. Source: LASP (Bulat and Tzimiropoulos, 2023).
    """
    return recognition(scale * torch.einsum("id,tjd->tij", learned, written), axis)


def recognition(scores: Tensor, axis: str) -> Tensor:
    """Mean of -log soft-max on the diagonals of (..., learned, written) scores, over one of these axes, see above."""
    found = scores.log_softmax(dim=-2 if axis == "learned" else -1)
    return -found.diagonal(dim1=-2, dim2=-1).mean()
