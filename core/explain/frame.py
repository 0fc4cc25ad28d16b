"""One frame for picture, model input and mask: which place of the original picture each model pixel shows.

The recipe scales the shorter side to the model's size, as torchvision does (the longer side is cut to whole pixels),
and takes the centre, or it squashes the whole picture. Pixels are areas: pixel i covers i to i + 1, and its centre has
the coordinate i, so a mapping of centres adds and takes off a half. The original picture is the upright one, as
`core.images.decode` gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from core.backbones.contract import Preprocessing
from core.errors import InvalidInput

MASK_LEVEL = 0.5
"""A pixel is marked from this part of the mask's brightest value on: blurred edges of a JPEG do not make it grow, and
nothing is lost where marked pixels hold a 1."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Frame:
    """How a picture of width x height px becomes size x size model pixels.

    resized: (width, height) after scaling, before the crop; left, top: first column and row of it that the model sees.
    """

    width: int
    height: int
    size: int
    resized: tuple[int, int]
    left: int
    top: int

    @classmethod
    def of(cls, picture_size: tuple[int, int], preprocessing: Preprocessing) -> Frame:
        """The frame of a picture (width, height) under a backbone's recipe."""
        (width, height), size = picture_size, preprocessing.size
        if preprocessing.resize == "squash":
            return cls(width, height, size, (size, size), 0, 0)
        longer = int(size * max(width, height) / min(width, height))
        resized = (size, longer) if width <= height else (longer, size)
        # Python rounds halves to even, as torchvision's centre crop does
        left, top = (round((side - size) / 2) for side in resized)
        return cls(width, height, size, resized, left, top)

    @property
    def scale(self) -> tuple[float, float]:
        """Original pixels in one model pixel, across and down."""
        return self.width / self.resized[0], self.height / self.resized[1]

    def to_original(self, column: Any, row: Any) -> tuple[Any, Any]:
        """Centres of model pixels as (x, y) of the original picture; numbers or arrays."""
        across, down = self.scale
        return (column + self.left + 0.5) * across - 0.5, (row + self.top + 0.5) * down - 0.5

    def to_model(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Places of the original picture as (column, row) of the model's input; beyond 0..size - 1 unseen."""
        across, down = self.scale
        return (x + 0.5) / across - self.left - 0.5, (y + 0.5) / down - self.top - 0.5

    @property
    def crop_box(self) -> tuple[float, float, float, float]:
        """What the model sees of the original picture: edges (left, top, right, bottom), in fractions of pixels."""
        across, down = self.scale
        return (
            self.left * across,
            self.top * down,
            min((self.left + self.size) * across, float(self.width)),
            min((self.top + self.size) * down, float(self.height)),
        )

    @property
    def seen_share(self) -> float:
        """Part of the original picture that the model sees."""
        left, top, right, bottom = self.crop_box
        return (right - left) * (bottom - top) / (self.width * self.height)

    def coverage(self, marked: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
        """Part of each cell's area that is marked: bool (height, width) to float64 (rows, columns), in [0, 1].

        grid: cells over the model's input, (14, 14) for patches or (size, size) for its pixels. Areas are exact, so a
        lesion of a few pixels in a large picture keeps its share of a cell.
        """
        self.check(marked)
        left, top, right, bottom = self.crop_box
        down = _overlaps(top, bottom, grid[0], self.height)
        across = _overlaps(left, right, grid[1], self.width)
        sums = np.zeros(grid)
        for start in range(0, self.height, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            if marked[part].any() and down[:, part].any():
                sums += down[:, part] @ (marked[part].astype(np.float32) @ across.T)
        return np.clip(sums, 0.0, 1.0)

    def marked_in_view(self, marked: np.ndarray) -> float:
        """Marked pixels that the model sees; pixels on the edge of the view count in part."""
        self.check(marked)
        left, top, right, bottom = self.crop_box
        down, across = _inside(top, bottom, self.height), _inside(left, right, self.width)
        rows = (marked[s : s + ROWS_AT_ONCE] @ across for s in range(0, self.height, ROWS_AT_ONCE))
        return float(down @ np.concatenate(list(rows)))

    def check(self, marked: np.ndarray) -> None:
        """Raise InvalidInput for a mask of another size than the picture."""
        if marked.shape != (self.height, self.width):
            raise InvalidInput(
                f"A mask is as large as its image, {self.width} x {self.height} px",
                f"found {marked.shape[1]} x {marked.shape[0]} px",
                "Give the mask of this image.",
            )

    @property
    def hides_part(self) -> bool:
        """Whether the model sees less than the whole picture."""
        return self.seen_share < 1 - 1e-9

    def cell_box(self, row: int, column: int, grid: tuple[int, int]) -> tuple[float, float, float, float]:
        """Edges (left, top, right, bottom) in the original picture of one cell of a grid (rows, columns)."""
        left, top, right, bottom = self.crop_box
        across, down = (right - left) / grid[1], (bottom - top) / grid[0]
        return left + column * across, top + row * down, left + (column + 1) * across, top + (row + 1) * down

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: sizes, and the crop box in pixels of the original picture; `from_dict` reads it back."""
        return {
            "original_px": [self.width, self.height],
            "model_px": self.size,
            "resized_px": list(self.resized),
            "offset_px": [self.left, self.top],
            "crop_box": [round(edge, 4) for edge in self.crop_box],
            "seen_share": self.seen_share,
        }

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Frame:
        """The frame that `as_dict` wrote."""
        (width, height), (left, top) = written["original_px"], written["offset_px"]
        across, down = written["resized_px"]
        return cls(width, height, written["model_px"], (across, down), left, top)


@dataclass(frozen=True)
class SeenMask:
    """A marked region as the model sees it.

    cells: part of each patch's area that is marked (rows, columns). pixels: the same of the model's pixels (size,
    size). marked_px, seen_px: marked pixels of the original picture, and those of them in the view.
    """

    frame: Frame
    cells: np.ndarray
    pixels: np.ndarray
    marked_px: int
    seen_px: float

    @property
    def in_view(self) -> float | None:
        """Part of the marked pixels that the model sees; None where nothing is marked."""
        return self.seen_px / self.marked_px if self.marked_px else None

    def sentence(self) -> str | None:
        """What a person must know before reading numbers of this region, or None if nothing."""
        if not self.marked_px:
            return "The mask marks no pixel, so no map was measured against it."
        left, top, right, bottom = self.frame.crop_box
        view = f"columns {left:.0f} to {right:.0f} and rows {top:.0f} to {bottom:.0f}"
        if not self.seen_px > 0:
            return (
                f"None of the {self.marked_px} marked pixels lies in the part of the image the model sees "
                f"({view} of {self.frame.width} x {self.frame.height} px), so no map was measured against it."
            )
        said = []
        lost = self.marked_px - self.seen_px
        if lost >= 0.5:
            said.append(
                f"{lost:.0f} of the {self.marked_px} marked pixels ({lost / self.marked_px:.0%}) lie outside the part "
                f"of the image the model sees ({view}) and are not counted."
            )
        patches = float(self.cells.sum())
        if patches < 1:
            said.append(
                f"The marked region covers {patches:.2g} of one patch: a map can say whether it points there, hardly "
                f"how much of it lies inside."
            )
        return " ".join(said) or None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the arrays."""
        return {
            "marked_px": self.marked_px,
            "seen_px": round(self.seen_px, 4),
            "in_view": self.in_view,
            "patches": float(self.cells.sum()),
            **self.frame.as_dict(),
        }


def seen_mask(
    mask: Image.Image | np.ndarray, picture_size: tuple[int, int], preprocessing: Preprocessing, grid: tuple[int, int]
) -> SeenMask:
    """A mask of the original picture laid on patches and model pixels by area.

    mask: a picture, or bool (height, width). Raises InvalidInput for another size than the picture's.
    """
    return seen_through(Frame.of(picture_size, preprocessing), mask, grid)


def seen_through(frame: Frame, mask: Image.Image | np.ndarray, grid: tuple[int, int]) -> SeenMask:
    """The same through a frame that is known."""
    marked = mask if isinstance(mask, np.ndarray) else marked_pixels(mask)
    frame.check(marked)
    size = (frame.size, frame.size)
    return SeenMask(
        frame,
        frame.coverage(marked, grid),
        frame.coverage(marked, size),
        int(np.count_nonzero(marked)),
        frame.marked_in_view(marked),
    )


def marked_pixels(mask: Image.Image) -> np.ndarray:
    """Bool (height, width): pixels of at least half the mask's brightest value."""
    if mask.mode in {"LA", "RGBA", "P", "PA"}:
        mask = mask.convert("RGB")
    values = np.asarray(mask if mask.mode in {"1", "L", "I", "F", "I;16"} else mask.convert("L"))
    most = float(values.max()) if values.size else 0.0
    return values >= MASK_LEVEL * most if most > 0 else np.zeros(values.shape, dtype=bool)


def _overlaps(start: float, end: float, cells: int, length: int) -> np.ndarray:
    """Part of each cell taken by each pixel, along one side: (cells, length); rows of cells inside sum to 1."""
    edges = np.linspace(start, end, cells + 1)
    pixel = np.arange(length)
    shared = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(shared, 0.0) / np.diff(edges)[:, None]


def _inside(start: float, end: float, length: int) -> np.ndarray:
    """Part of each pixel between two edges: (length,)."""
    pixel = np.arange(length)
    return np.clip(np.minimum(end, pixel + 1) - np.maximum(start, pixel), 0.0, 1.0)
