"""Scores of a fitted method, never without numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import InvalidInput
from core.tuning.contract import Method

PROMPTS_PER_PASS = 512


def predict_logits(method: Method, features: Tensor) -> Tensor:
    """Scores (images, classes); in small chunks where every image needs texts of its own.

    Texts are read in float32: in bf16 an image's score would depend a little on how many others come with it. Raises
    InvalidInput for scores that are not finite: such an answer is never given.
    """
    size = max(1, PROMPTS_PER_PASS // len(method.task.classes)) if method.per_image_text else max(1, len(features))
    with torch.inference_mode():
        found = torch.cat([method.logits(chunk) for chunk in features.split(size)]).float().clone()
    if not bool(found.isfinite().all()):
        wrong = int((~found.isfinite().all(dim=-1)).sum())
        raise InvalidInput(
            "A model's scores are finite numbers",
            f"those of {wrong} of {len(found)} images are not",
            "Train it again with a smaller learning rate, or copy the model folder again.",
        )
    return found
