"""Drawn images whose class is a square of one colour at a random place, or no square, so that it is known what decides.

Without its square an image looks like one of the class without any, so hiding the square takes away what speaks for its
class, whatever the other classes are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS: dict[str, tuple[float, float, float] | None] = {
    "red square": (0.9, 0.15, 0.1),
    "blue square": (0.15, 0.25, 0.95),
    "no square": None,
}
SIZE_PX = 224
SIDE_PX = (28, 45)
"""Shortest side of a square, and the first that is too long: about 2 to 3 patches of 16 px."""
PARTS = ("train", "test")


def plant(folder: Path, seed: int = 0, per_class: tuple[int, int] = (20, 20)) -> Path:
    """Write `train/<class>/*.png`, `test/<class>/*.png` and squares, where there are, at `masks/<same path>`.

    Gives the folder.

    per_class: (training, test) images of each class.
    """
    for part_number, part in enumerate(PARTS):
        for class_number, (name, colour) in enumerate(COLOURS.items()):
            for number in range(per_class[part_number]):
                draw = np.random.default_rng((seed, part_number, class_number, number))
                picture, mask = draw_planted(colour, draw)
                place = Path(part, name, f"{part}-{name.replace(' ', '-')}-{number:03d}.png")
                _write(folder / place, picture)
                if mask.any():
                    _write(folder / "masks" / place, mask.astype(np.uint8) * 255)
    return folder


def draw_planted(colour: tuple[float, float, float] | None, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Grey smooth noise with one square of a colour, or none: uint8 (size, size, 3), and where the square is, bool."""
    grey = 0.45 + 0.1 * _noise(6, draw) + 0.04 * _noise(28, draw) + draw.normal(0, 0.02, (SIZE_PX, SIZE_PX))
    side = int(draw.integers(*SIDE_PX))
    top, left = draw.integers(0, SIZE_PX - side, 2)
    mask = np.zeros((SIZE_PX, SIZE_PX), dtype=bool)
    mask[top : top + side, left : left + side] = colour is not None
    picture = np.where(mask[..., None], np.asarray(colour or (0, 0, 0)), grey[..., None])
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8), mask


def _noise(cells: int, draw: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(draw.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), dtype=np.float64)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
