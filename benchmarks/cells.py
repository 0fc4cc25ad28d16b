"""Photographs of white blood cells with their nuclei marked: real images whose class lies at a known place.

The stain makes nuclei the only large purple parts, so that colour alone marks them: more saturated than Otsu's
threshold, and hardly less blue than red. The marks are not drawn by a person; on the photographs looked at they cover
the nucleus and none of its surroundings.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

LEAST_BLUE = 0.9
"""Of the red: below, a pixel is red cell or background."""
LEAST_PART = 0.25
"""Of the largest part's size: smaller parts are platelets and dirt."""
SMOOTHED_PX = 2


def with_nuclei(source: Path, folder: Path) -> Path:
    """Copy `train/` and `test/` of a set of white cells, and write its test nuclei to `masks/`; gives the folder."""
    for path in sorted(source.glob("t*/*/*")):
        place = path.relative_to(source)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / place)
        with Image.open(path) as picture:
            marked = nucleus(picture) if place.parts[0] == "test" else None
        if marked is not None and marked.any():
            mask = folder / "masks" / place.with_suffix(".png")
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(marked).save(mask)
    return folder


def nucleus(picture: Image.Image) -> np.ndarray:
    """Bool (height, width): the stained nucleus."""
    colours = np.asarray(picture.convert("RGB"), dtype=float)
    saturation = np.asarray(picture.convert("HSV"), dtype=float)[..., 1]
    purple = (saturation > otsu(saturation)) & (colours[..., 2] > LEAST_BLUE * colours[..., 0])
    labels, parts = ndimage.label(ndimage.binary_opening(purple, iterations=SMOOTHED_PX))
    if not parts:
        return np.zeros(purple.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())[1:]
    kept = np.isin(labels, 1 + np.flatnonzero(sizes >= LEAST_PART * sizes.max()))
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_dilation(kept, iterations=SMOOTHED_PX)))


def otsu(values: np.ndarray) -> float:
    """The threshold between two groups of values that lie as far apart as can be (Otsu, 1979)."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum(), (counts * centres).cumsum()
    apart = (sums[-1] * below - sums * below[-1])[:-1] ** 2 / np.maximum(below * (below[-1] - below), 1)[:-1]
    return float(centres[apart.argmax()])
