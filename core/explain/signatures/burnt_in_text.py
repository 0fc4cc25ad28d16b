"""Attention on letters burnt into the picture.

Letters are found from pixels of the view at 224 px and of its negative: brighter than 150 and 50 above the median of
17 x 17 px around; connected parts of a letter's size; at least three in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from core.explain.region import cell_share
from core.explain.region import coverage as cells_of
from core.explain.signature import Seen, Signature

SIZE_PX = 224
LEAST_GREY, LEAST_ABOVE, AROUND_PX = 150, 50, 17
LEAST_HEIGHT, MOST_SIDE = 6, 26
LEAST_FILL, MOST_FILL = 0.15, 0.95
LEAST_LETTERS = 3
MARGIN_PX = 2
MOST_COVERED = 0.15
"""A picture with more than this of it taken for letters has another kind of texture."""


class BurntInText(Signature):
    """How many times more attention letters draw than their area, where there are letters."""

    title = "Attention on burnt-in text"
    statistic_words = "Attention on letters in the picture, in times of their area"
    meaning = "The model may read the letters instead of the picture: cover them and explain the image again."
    limit = 2.0

    def statistic(self, seen: Seen) -> float | None:
        """At least 0; None without letters."""
        mask = text_mask(seen.view)
        if not 0 < mask.mean() < MOST_COVERED:
            return None
        return cell_share(seen.attention, cells_of(mask, seen.attention.shape)).enrichment


@dataclass(frozen=True)
class Letter:
    """A connected part of a letter's size: its box in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    def follows(self, other: Letter) -> bool:
        """Whether it stands right of the other in one row of writing."""
        centres = abs(self.top + self.bottom - other.top - other.bottom) / 2
        return (
            centres < 0.3 * max(self.height, other.height)
            and 0.6 <= self.height / other.height <= 1.6
            and 0 <= self.left - other.right < 0.9 * max(self.height, other.height)
        )


def text_mask(view: Image.Image) -> np.ndarray:
    """Bool (224, 224): boxes of what looks like rows of letters, bright on dark or dark on bright."""
    grey = np.asarray(view.convert("L").resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), dtype=np.int16)
    mask = np.zeros(grey.shape, dtype=bool)
    for side in (grey, 255 - grey):
        for letter in _rows(_letters(side)):
            rows = slice(max(0, letter.top - MARGIN_PX), letter.bottom + MARGIN_PX)
            mask[rows, max(0, letter.left - MARGIN_PX) : letter.right + MARGIN_PX] = True
    return mask


def _letters(grey: np.ndarray) -> list[Letter]:
    lit = (grey > LEAST_GREY) & (grey - ndimage.median_filter(grey, AROUND_PX) > LEAST_ABOVE)
    labels, _ = ndimage.label(lit)
    found = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        fill = float((labels[rows, columns] == label).mean())
        if LEAST_HEIGHT <= height <= MOST_SIDE and width <= MOST_SIDE and LEAST_FILL <= fill <= MOST_FILL:
            found.append(Letter(rows.start, rows.stop, columns.start, columns.stop))
    return sorted(found, key=lambda letter: letter.left)


def _rows(letters: list[Letter]) -> list[Letter]:
    """Those that stand in a row of at least three."""
    chains: list[list[Letter]] = []
    for letter in letters:
        chain = next((each for each in chains if letter.follows(each[-1])), None)
        if chain is None:
            chains.append([letter])
        else:
            chain.append(letter)
    return [letter for chain in chains if len(chain) >= LEAST_LETTERS for letter in chain]
