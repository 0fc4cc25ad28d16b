"""A drawn image set to try things on: scans of no real person, with and without lesions of three kinds.

Each scan has a textured background, a body outline of varied shape, some organs, specks and noise; each lesion varies
in place, size, contrast and sharpness. Masks of the lesions are kept, so that attention maps can be scored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import InvalidInput

MODALITY = "drawn scan"
NO_LESION = "no lesion"
_PARTS = ("train", "test")

Shape = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def make_phantoms(folder: str | Path, seed: int = 0, per_class: tuple[int, int] = (24, 24), size_px: int = 224) -> Path:
    """Write `train/<class>/*.png`, `test/<class>/*.png` and lesion masks at `masks/<same path>`; give the folder.

    per_class: (training, test) images of each class. Every image depends only on the seed, its part, class and number,
    so a larger set contains the smaller one. Raises InvalidInput for no images or a size outside 64..1024.
    """
    folder = Path(folder)
    if min(per_class) < 1 or not 64 <= size_px <= 1024:
        raise InvalidInput("At least 1 image a class, of 64 to 1024 pixels", f"found {per_class} and {size_px}")
    for part_number, part in enumerate(_PARTS):
        for class_number, name in enumerate(LESIONS):
            for number in range(per_class[part_number]):
                draw = np.random.default_rng((seed, part_number, class_number, number))
                scan, mask = draw_phantom(name, draw, size_px)
                relative = Path(part, name, _file_name(part, name, number))
                _write(folder / relative, scan)
                if mask.any():
                    _write(folder / "masks" / relative, mask.astype(np.uint8) * 255)
    return folder


def _file_name(part: str, name: str, number: int) -> str:
    """One number alone: with a second one before it, files would look like several images of one patient."""
    return f"{part}-{name.replace(' ', '-')}-{number:03d}.png"


def draw_phantom(name: str, draw: np.random.Generator, size_px: int = 224) -> tuple[np.ndarray, np.ndarray]:
    """One scan of a class: grey values (size, size) uint8, and its lesion mask (size, size) bool."""
    axis = np.linspace(-1, 1, size_px)
    x, y = np.meshgrid(axis, axis)
    scan, inside = _anatomy(x, y, draw)
    lesion = np.zeros_like(scan)
    if name != NO_LESION:
        lesion = _place(LESIONS[name], x, y, draw)
    scan += lesion * draw.uniform(0.14, 0.30) + draw.normal(0, draw.uniform(0.015, 0.035), scan.shape)
    scan = np.where(inside, scan, scan * 0.25)
    gamma = draw.uniform(0.85, 1.2)
    grey = np.rint(np.clip(scan, 0, 1) ** gamma * 255).astype(np.uint8)
    return grey, np.abs(lesion) > 0.4


def _anatomy(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A scan without lesion and noise, around 0.2 to 0.6, and where the body is."""
    size_px = len(x)
    u, v = _turned(x, y, draw.uniform(-0.4, 0.4))
    u, v = u - draw.uniform(-0.06, 0.06), v - draw.uniform(-0.06, 0.06)
    radius = np.hypot(u / draw.uniform(0.74, 0.92), v / draw.uniform(0.82, 0.97))
    radius += 0.04 * np.sin(draw.integers(2, 5) * np.arctan2(v, u) + draw.uniform(0, 6.3))
    scan = 0.36 + 0.08 * _texture(size_px, 6, draw) + 0.05 * _texture(size_px, 24, draw)
    scan += draw.uniform(0.08, 0.2) * np.exp(-(((radius - 0.96) / 0.04) ** 2))
    for _ in range(draw.integers(2, 5)):
        scan += draw.uniform(-0.09, 0.09) * _ellipse(u, v, draw)
    for _ in range(draw.integers(3, 9)):
        speck = np.hypot(u - draw.uniform(-0.6, 0.6), v - draw.uniform(-0.6, 0.6))
        scan += draw.uniform(-0.15, 0.2) * np.exp(-((speck / draw.uniform(0.012, 0.03)) ** 2))
    return scan, radius < 1


def _ellipse(u: np.ndarray, v: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """An organ: a soft ellipse somewhere in the body, 0 to 1."""
    p, q = _turned(u - draw.uniform(-0.5, 0.5), v - draw.uniform(-0.5, 0.5), draw.uniform(0, 3.2))
    distance = np.hypot(p / draw.uniform(0.15, 0.4), q / draw.uniform(0.1, 0.25))
    return _soft(1 - distance, 0.12)


def _place(shape: Shape, x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A lesion of -1 to 1 at a random place well inside the body."""
    angle, distance = draw.uniform(0, 2 * np.pi), draw.uniform(0, 0.48)
    return shape(x - distance * np.cos(angle), y - distance * np.sin(angle), draw)


def _bright_round(u: np.ndarray, v: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return _soft(1 - np.hypot(u, v) / draw.uniform(0.12, 0.22), draw.uniform(0.1, 0.4))


def _dark_irregular(u: np.ndarray, v: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    angle = np.arctan2(v, u)
    edge = draw.uniform(0.13, 0.26) * np.ones_like(angle)
    for waves in range(2, 8):
        edge *= 1 + draw.uniform(0.05, 0.2) * np.sin(waves * angle + draw.uniform(0, 2 * np.pi))
    return -_soft(1 - np.hypot(u, v) / edge, draw.uniform(0.1, 0.4))


def _ring(u: np.ndarray, v: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    u, v = _turned(u, v, draw.uniform(0, 3.2))
    radius, width = draw.uniform(0.12, 0.24), draw.uniform(0.025, 0.05)
    distance = np.hypot(u, v * draw.uniform(0.8, 1.2))
    return np.exp(-(((distance - radius) / width) ** 2))


LESIONS: dict[str, Shape] = {
    "bright round lesion": _bright_round,
    "dark irregular lesion": _dark_irregular,
    NO_LESION: lambda u, v, draw: np.zeros_like(u),
    "ring shaped lesion": _ring,
}
CLASSES = tuple(LESIONS)


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _soft(height: np.ndarray, softness: float) -> np.ndarray:
    """A step from 0 (height below 0) to 1 of the given width."""
    return np.clip(height / softness + 0.5, 0, 1)


def _texture(size_px: int, cells: int, draw: np.random.Generator) -> np.ndarray:
    """Smooth noise of about `cells` bumps a side, deviation about 1."""
    coarse = Image.fromarray(draw.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size_px, size_px), Image.Resampling.BICUBIC), dtype=np.float64)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
