"""Maps as pictures: colour-blind safe, over the grey image, each with the scale its colours mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ColourMap = Literal["cividis", "vik"]
SEQUENTIAL: ColourMap = "cividis"
DIVERGING: ColourMap = "vik"
GREY_WEIGHT = 0.4
STOPS = 9


def overlay(
    picture: Image.Image,
    grid_map: np.ndarray,
    scale: tuple[float, float],
    colour_map: ColourMap = SEQUENTIAL,
    grey_weight: float = GREY_WEIGHT,
) -> Image.Image:
    """The map (rows, columns) in colours over the grey picture, in the picture's size.

    scale: values of the first and last colour. grey_weight: how much of the picture shines through. Cells that are
    not-a-number (patches that zero vectors replaced) stay grey.
    """
    grey = np.asarray(picture.convert("L"), dtype=np.float32)[..., None] / 255.0
    values, there = upsample(grid_map, picture.size)
    colours = colours_of(values, scale, colour_map)
    mixed = np.where(there[..., None], grey_weight * grey + (1 - grey_weight) * colours, grey)
    return Image.fromarray((np.clip(mixed, 0, 1) * 255).round().astype(np.uint8))


def save_picture(picture: Image.Image, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a map as PNG that says which pixels of the original it shows, in `crop_box` and `original_px`.

    arrays: the explanation's. Texts of the PNG, numbers apart by blanks: left, top, right, bottom; width, height.
    """
    facts = PngInfo()
    for name in ("crop_box", "original_px"):
        if name in arrays:
            facts.add_text(name, " ".join(f"{value:g}" for value in arrays[name]))
    picture.save(path, "PNG", compress_level=3, pnginfo=facts)


def colour_layer(
    grid_map: np.ndarray, size: tuple[int, int], scale: tuple[float, float], colour_map: ColourMap = SEQUENTIAL
) -> Image.Image:
    """The colours alone as an RGBA picture of `size` (width, height), to be laid over any picture.

    Cells that are not-a-number are transparent.
    """
    values, there = upsample(grid_map, size)
    colours = np.dstack([colours_of(values, scale, colour_map), there.astype(float)])
    return Image.fromarray((np.clip(colours, 0, 1) * 255).round().astype(np.uint8), "RGBA")


def upsample(grid_map: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values (height, width) and where they hold, from (rows, columns); size is (width, height).

    Missing cells do not bleed into their neighbours: values are averaged over the cells that are there.
    """
    there = np.isfinite(grid_map)
    filled = Image.fromarray(np.where(there, grid_map, 0).astype(np.float32))
    weight = Image.fromarray(there.astype(np.float32))
    values, weights = (np.asarray(part.resize(size, Image.Resampling.BILINEAR)) for part in (filled, weight))
    seen = np.asarray(weight.resize(size, Image.Resampling.NEAREST)) > 0
    return np.divide(values, weights, out=np.zeros_like(values), where=weights > 0), seen


def colours_of(values: np.ndarray, scale: tuple[float, float], colour_map: ColourMap) -> np.ndarray:
    """RGB in [0, 1] (..., 3) of values on a scale; a scale without width gives its first colour, or the middle one of
    a diverging map."""
    low, high = scale
    empty = 0.5 if colour_map == DIVERGING else 0.0
    place = (values - low) / (high - low) if high > low else np.full(np.shape(values), empty)
    return np.asarray(_colour_map(colour_map)(np.clip(place, 0, 1)))[..., :3]


def colour_bar(scale: tuple[float, float], colour_map: ColourMap) -> dict[str, Any]:
    """The legend of a map as data: colour_map, lo, hi and stops [{value, colour "#rrggbb"}]."""
    values = np.linspace(*scale, STOPS)
    colours = (colours_of(np.linspace(0, 1, STOPS), (0.0, 1.0), colour_map) * 255).round().astype(int)
    stops = [
        {"value": float(value), "colour": f"#{r:02x}{g:02x}{b:02x}"}
        for value, (r, g, b) in zip(values, colours, strict=True)
    ]
    return {"colour_map": colour_map, "lo": float(scale[0]), "hi": float(scale[1]), "stops": stops}


@cache
def _colour_map(name: ColourMap) -> Any:
    # Loaded when first painted: both packages take a second.
    if name == SEQUENTIAL:
        from matplotlib import colormaps

        return colormaps[SEQUENTIAL]
    from cmcrameri import cm

    return cm.vik
