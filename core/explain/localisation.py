"""Which explainer to believe: maps of the true class against known lesions, and by what hiding and showing them does.

Beside all maps that need few passes stand a blob in the centre and a smooth random map, which need no model. Nothing is
tuned on the images measured. Sources: pointing game and IoU as in CheXlocalize (Saporta et al., 2022); deletion and
insertion as in RISE (Petsiuk et al., BMVC 2018), insertion from a blurred image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from core.explain.batch_images import BatchImage, ReadImage, read_image
from core.explain.captured import IMAGES_AT_ONCE, capture
from core.explain.classifier import ExplainedClassifier, probabilities_of
from core.explain.hiding import Step, marked_pixels
from core.explain.paired_change import paired_change
from core.explain.random_maps import marked_cells
from core.explain.registry import explainer_names, get_explainer

FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Of the patches: hidden in deletion, shown in insertion."""
BLUR_PX = 11.0
CENTRE, RANDOM = "a blob in the centre", "a random map"
MEASURES = ("hit", "energy", "iou", "deletion", "insertion")


@dataclass(frozen=True)
class Scored:
    """One map of one image: whether its strongest cell touches the lesion (ties by their part), the part of its
    positive mass inside, IoU of as many strongest cells as the lesion covers; None without a mask. deletion, insertion:
    area below the class's probability, small and large for a good map; None where not asked for.
    """

    image: str
    group: str | None
    explainer: str
    hit: float | None
    energy: float | None
    iou: float | None
    deletion: float | None
    insertion: float | None


def score_images(
    classifier: ExplainedClassifier,
    images: Iterable[BatchImage],
    names: Sequence[str],
    step: Step,
    seed: int = 0,
    hiding: bool = True,
) -> Iterator[Scored | str]:
    """Scores of each map of each image that is read and answered rightly; otherwise the reason it is left out.

    hiding: deletion and insertion too, 16 passes a map.
    """
    for number, image in enumerate(images):
        step()
        read = read_image(classifier.backbone, image)
        if isinstance(read, str):
            yield f"{image.name}: {read}"
            continue
        label = list(classifier.classes).index(image.class_name) if image.class_name in classifier.classes else None
        captured = capture(classifier, read.pixels[None].to(classifier.backbone.device))
        if label is None or captured.predicted != label:
            yield f"{image.name}: the model does not answer '{image.class_name}'"
            continue
        rng = np.random.default_rng((seed, number))
        maps = {name: get_explainer(name)().map_set(captured, [label]).maps[0] for name in names}
        grid = captured.layout.grid
        maps |= {CENTRE: centre_map(grid), RANDOM: random_map(grid, rng)}
        for name, values in maps.items():
            curves = deletion_insertion(classifier, captured.pixels, values, label, rng) if hiding else (None, None)
            yield _scored(read, name, values, curves, rng)


def quick_explainers() -> list[str]:
    """Explainers that need few passes."""
    return [name for name in explainer_names() if not get_explainer(name).on_demand()]


def centre_map(grid: tuple[int, int]) -> np.ndarray:
    """A blob in the middle, a quarter of the picture wide."""
    y, x = np.mgrid[: grid[0], : grid[1]]
    squared = (y - (grid[0] - 1) / 2) ** 2 + (x - (grid[1] - 1) / 2) ** 2
    return np.exp(-squared / (2 * (grid[0] / 4) ** 2))


def random_map(grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise smoothed over neighbouring cells."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(rng.normal(size=grid), 1.0, mode="wrap"))


def hit(values: np.ndarray, lesion: np.ndarray) -> float:
    """Part of the strongest cells that touch the lesion. lesion: part of each cell that is marked."""
    top = values == np.nanmax(values)
    return float((top & (lesion > 0)).sum() / top.sum())


def energy(values: np.ndarray, lesion: np.ndarray) -> float | None:
    """Part of the positive mass inside; None without any."""
    mass = np.maximum(np.nan_to_num(values), 0)
    return float((mass * lesion).sum() / mass.sum()) if mass.sum() > 0 else None


def matched_iou(values: np.ndarray, lesion: np.ndarray, rng: np.random.Generator) -> float:
    """IoU of the lesion and as many strongest cells as it covers: sum of minima over sum of maxima."""
    chosen = np.zeros(values.size)
    chosen[marked_cells(values, [max(1, round(float(lesion.sum())))], rng)[0]] = 1
    return float(np.minimum(chosen, lesion.ravel()).sum() / np.maximum(chosen, lesion.ravel()).sum())


def curve_area(probabilities: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> float:
    """Area below probabilities over the fraction of patches, by trapezoids; in [0, 1]."""
    return float(np.trapezoid(np.asarray(probabilities, dtype=float), np.asarray(fractions)))


def deletion_insertion(
    classifier: ExplainedClassifier, pixels: Tensor, values: np.ndarray, label: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Areas below the class's probability while the strongest cells are hidden, and while they alone are shown."""
    there = int(np.isfinite(values).sum())
    marked = np.zeros((len(FRACTIONS), values.size), dtype=bool)
    for row, cells in enumerate(marked_cells(values, [round(f * there) for f in FRACTIONS], rng)):
        marked[row, cells] = True
    mask = marked_pixels(pixels, marked.reshape(-1, *values.shape))
    blurred = gaussian_blur(pixels, [2 * int(2 * BLUR_PX) + 1] * 2, [BLUR_PX, BLUR_PX])
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    pictures = torch.cat([torch.where(mask, mean, pixels), torch.where(mask, pixels, blurred)])
    scores = torch.cat([classifier.scores_from_pixels(part) for part in pictures.split(IMAGES_AT_ONCE)])
    found = probabilities_of(classifier, scores)[:, label].tolist()
    return curve_area(found[: len(FRACTIONS)]), curve_area(found[len(FRACTIONS) :])


def summarise(rows: Sequence[Scored], seed: int = 0) -> list[dict[str, Any]]:
    """One object an explainer, best hit rate first, or deletion where no image has a mask.

    {explainer, n, n_masked, groups, hit, energy, iou, deletion, insertion}, each measure {mean, low, high, interval} or
    None; 95 % intervals by group where all images have one, else by image.
    """
    grouped = bool(rows) and all(row.group for row in rows)
    found = [
        _summary(name, [row for row in rows if row.explainer == name], grouped, seed)
        for name in dict.fromkeys(row.explainer for row in rows)
    ]
    return sorted(
        found, key=lambda row: (-(row["hit"] or {"mean": 0})["mean"], (row["deletion"] or {"mean": 0})["mean"])
    )


def _summary(name: str, rows: Sequence[Scored], grouped: bool, seed: int) -> dict[str, Any]:
    return {
        "explainer": name,
        "n": len(rows),
        "n_masked": sum(row.hit is not None for row in rows),
        "groups": len({row.group for row in rows}) if grouped else None,
        **{measure: _interval(rows, measure, grouped, seed) for measure in MEASURES},
    }


def _interval(rows: Sequence[Scored], measure: str, grouped: bool, seed: int) -> dict[str, Any] | None:
    known = [row for row in rows if getattr(row, measure) is not None]
    if not known:
        return None
    groups = [str(row.group) for row in known] if grouped else None
    found = paired_change([getattr(row, measure) for row in known], groups, seed=seed)
    low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (found.low, found.high))
    return {"mean": found.mean, "low": low, "high": high, "interval": found.interval}


def _scored(
    read: ReadImage,
    name: str,
    values: np.ndarray,
    curves: tuple[float | None, float | None],
    rng: np.random.Generator,
) -> Scored:
    lesion = None if read.seen is None else read.seen.cells
    return Scored(
        read.image.name,
        read.image.group,
        name,
        None if lesion is None else hit(values, lesion),
        None if lesion is None else energy(values, lesion),
        None if lesion is None else matched_iou(values, lesion, rng),
        *curves,
    )
