"""What hiding squares of a picture does to its scores. Hidden patches show a blur of what surrounds them.

The same squares serve all maps and all classes of an image, so that testing one map more costs no further pass.
Source: occlusion (Zeiler, Fergus, ECCV 2014), read as log-odds: near 0 and 1 a probability hardly moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.explain.captured import IMAGES_AT_ONCE
from core.explain.classifier import ExplainedClassifier
from core.explain.shares import log_odds

Step = Callable[[], None]
PLACES = 6
"""Of a square along each side of the picture; one more where it then lies at every patch."""
PART = 0.27
"""A square's side, in parts of the picture's: 4 of 14 patches. Squares start at every second one, so that a thing of 3
patches is hidden as a whole by some of them: the strip that squares of 3 leave over was still read."""
BLUR = 0.15
"""Deviation of the blur, in parts of the picture's side. A narrower one spreads the colour of what sticks out."""
BLURRED_AT = 56
"""Side of the small copy that is blurred, in pixels: enough for a blur of 8 of them, and a sixteenth of the work."""
BEYOND = 1e-3
"""Weight of the picture's mean against what the blur reaches."""


@dataclass(frozen=True)
class Probed:
    """squares: bool (squares, rows, columns), what each hid. whole: log-odds (classes,) of the picture as it is.

    odds: log-odds (squares, classes) with each square hidden; both at the model's temperature.
    """

    squares: np.ndarray
    whole: np.ndarray
    odds: np.ndarray

    def drops(self, class_index: int) -> np.ndarray:
        """By how much the class's log-odds fall on average where a square over the patch is hidden: (rows, columns)."""
        fallen = self.whole[class_index] - self.odds[:, class_index]
        return np.asarray(np.tensordot(fallen, self.squares, 1) / self.squares.sum(axis=0))


def probe(classifier: ExplainedClassifier, pixels: Tensor, step: Step) -> Probed:
    """Hides squares all over one image (1, 3, size, size), the way classification takes; `step` before each batch."""
    hidden = squares_over(classifier.backbone.patch_grid)
    nothing = np.zeros((1, *hidden.shape[1:]), dtype=bool)
    found = hidden_scores(classifier, pixels, np.concatenate([nothing, hidden]), step)
    temperature, classes = float(classifier.temperature), range(found.shape[1])
    odds = np.stack([log_odds(found, np.full(len(found), index), temperature) for index in classes], axis=1)
    return Probed(hidden, odds[0], odds[1:])


def squares_over(grid: tuple[int, int]) -> np.ndarray:
    """Squares that together cover the grid, overlapping where they must: bool (squares, rows, columns)."""
    rows, columns = (_spans(cells) for cells in grid)
    return np.stack([row[:, None] & column[None, :] for row in rows for column in columns])


def hidden_scores(classifier: ExplainedClassifier, pixels: Tensor, hidden: np.ndarray, step: Step) -> np.ndarray:
    """Scores (pictures, classes) of one image with the patches hidden (pictures, rows, columns) that are marked."""
    found = []
    for start in range(0, len(hidden), IMAGES_AT_ONCE):
        step()
        batch = hide_patches(pixels, hidden[start : start + IMAGES_AT_ONCE])
        found.append(classifier.scores_from_pixels(batch).numpy())
    return np.concatenate(found)


def hide_patches(pixels: Tensor, hidden: np.ndarray) -> Tensor:
    """Copies (pictures, 3, size, size) of an image whose cells in `hidden` (pictures, rows, columns) are covered."""
    return covered(pixels, marked_pixels(pixels, hidden))


def covered(pixels: Tensor, marked: Tensor) -> Tensor:
    """An image (1, 3, size, size) whose marked pixels (pictures, 1, size, size) show a blur of those around them.

    One colour with sharp edges would itself be a thing in the picture: squares planted in drawn images and covered so
    were still read as squares. What lies beyond the blur's reach counts a little, so that all pixels but one may go.
    """
    left = (~marked).to(pixels)
    small = [nn.functional.adaptive_avg_pool2d(part, BLURRED_AT) for part in (pixels * left, left)]
    sums, counts = (_blurred(part) + part.mean(dim=(2, 3), keepdim=True) * BEYOND for part in small)
    surround = nn.functional.interpolate(sums / counts, size=pixels.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(marked, surround, pixels)


def _blurred(small: Tensor) -> Tensor:
    """Pictures (pictures, channels, rows, columns) under a Gaussian window, nothing beyond the edges."""
    reach = int(3 * BLUR * BLURRED_AT)
    window = torch.exp(-((torch.arange(-reach, reach + 1) / (BLUR * BLURRED_AT)) ** 2) / 2).to(small)
    channels = small.shape[1]
    for shape, padding in (((-1, 1), (reach, 0)), ((1, -1), (0, reach))):
        kernel = window.reshape(1, 1, *shape).repeat(channels, 1, 1, 1)
        small = nn.functional.conv2d(small, kernel, padding=padding, groups=channels)
    return small


def marked_pixels(pixels: Tensor, cells: np.ndarray) -> Tensor:
    """Bool (pictures, 1, size, size): pixels of the marked cells (pictures, rows, columns)."""
    marked = torch.as_tensor(cells, dtype=torch.float32, device=pixels.device)[:, None]
    return nn.functional.interpolate(marked, size=pixels.shape[-2:], mode="nearest-exact") > 0


def _spans(cells: int) -> np.ndarray:
    """Where a square may lie along one side: bool (places, cells), each cell in at least one."""
    side = max(math.ceil(cells / PLACES), round(PART * cells))
    every = cells - side + 1
    starts = np.unique(np.linspace(0, cells - side, every if every <= PLACES + 1 else PLACES).round().astype(int))
    places = np.arange(cells)
    return np.stack([(places >= start) & (places < start + side) for start in starts])
