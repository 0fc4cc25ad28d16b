"""What hiding patches does to a class's log-odds. Hidden patches show the image's mean colour.

Source: deletion, RISE (Petsiuk et al., BMVC 2018), on log-odds: near 0 and 1 a probability hardly moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from core.explain.captured import IMAGES_AT_ONCE
from core.explain.classifier import ExplainedClassifier
from core.explain.shares import log_odds

Step = Callable[[], None]


def hidden_log_odds(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    hidden: np.ndarray,
    class_indices: Sequence[int] | np.ndarray,
    step: Step,
) -> np.ndarray:
    """Log-odds of a class for each picture with some patches hidden: (pictures,), at the model's temperature.

    pixels: one image (1, 3, size, size). hidden: bool (pictures, rows, columns). class_indices: one a picture. All run
    in batches the way classification takes, with a call of `step` before each.
    """
    found = []
    for start in range(0, len(hidden), IMAGES_AT_ONCE):
        step()
        batch = hide_patches(pixels, hidden[start : start + IMAGES_AT_ONCE])
        found.append(classifier.scores_from_pixels(batch).numpy())
    return log_odds(np.concatenate(found), np.asarray(class_indices), float(classifier.temperature))


def hide_patches(pixels: Tensor, hidden: np.ndarray) -> Tensor:
    """Copies (pictures, 3, size, size) of an image whose cells in `hidden` (pictures, rows, columns) show its mean."""
    return torch.where(marked_pixels(pixels, hidden), pixels.mean(dim=(2, 3), keepdim=True), pixels)


def marked_pixels(pixels: Tensor, cells: np.ndarray) -> Tensor:
    """Bool (pictures, 1, size, size): pixels of the marked cells (pictures, rows, columns)."""
    marked = torch.as_tensor(cells, dtype=torch.float32, device=pixels.device)[:, None]
    return nn.functional.interpolate(marked, size=pixels.shape[-2:], mode="nearest-exact") > 0
