"""How far to trust a map: does hiding what it marks matter, and does it follow the model's weights?

Sources: deletion as in RISE (Petsiuk et al., BMVC 2018), hidden patches filled with the image's mean colour; against
random patches, since a filled hole alone can change the answer (Rong et al., ICML 2022); randomisation of the last
block as in Sanity Checks for Saliency Maps (Adebayo et al., NeurIPS 2018).
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.explain.captured import Captured, capture
from core.explain.classifier import ExplainedClassifier
from core.explain.explainer import Explainer
from core.explain.region import peak_quadrant, quadrant_share

FRACTIONS = (0.1, 0.2, 0.4)
RANDOM_DRAWS = 5
MARGIN = 0.02
"""Probability by which hiding marked patches must beat hiding random ones."""
ALIKE = 0.5
"""Rank correlation from which a map counts as unmoved by randomised weights."""


def trust(captured: Captured, class_index: int, explainer: Explainer, seed: int = 0) -> dict[str, Any]:
    """Both tests for the map that an explainer draws of one class, its strongest quarter, and a sentence.

    Returns {explainer, deletion, randomisation, peak {quadrant, share}, faithful, sensitive, verdict}. faithful: hiding
    marked patches lowers the class's probability by more than hiding random ones. sensitive: the map changes when the
    last block's weights are randomised; None where one of the maps is flat. One seed gives one result.
    """
    signed = explainer.map_set(captured, [class_index]).maps[0]
    removed = deletion(captured.classifier, captured.pixels, class_index, signed, seed)
    correlation = randomisation(captured, class_index, explainer, seed)
    faithful = removed["mean_drop"] > removed["mean_random_drop"] + MARGIN
    sensitive = None if correlation is None else correlation < ALIKE
    return {
        "explainer": explainer.name(),
        "deletion": removed,
        "randomisation": {"rank_correlation": correlation, "randomised": "last block of the image tower"},
        "peak": {"quadrant": peak_quadrant(signed), "share": quadrant_share(signed)},
        "faithful": faithful,
        "sensitive": sensitive,
        "verdict": _verdict(faithful, sensitive, removed, correlation),
    }


def deletion(
    classifier: ExplainedClassifier, pixels: Tensor, class_index: int, importance: np.ndarray, seed: int = 0
) -> dict[str, Any]:
    """Drop of the class's probability when the most important 10, 20 and 40 % of patches are hidden.

    importance: (rows, columns), not-a-number where there is no patch. Returns {probability, random_draws, steps
    [{fraction, patches, drop, random_drop}], mean_drop, mean_random_drop}. random_drop averages `RANDOM_DRAWS` seeded
    draws of as many patches. All pictures run as one batch, the way classification takes.
    """
    flat = importance.ravel()
    there = np.flatnonzero(np.isfinite(flat))
    ranked = there[np.argsort(-flat[there], kind="stable")]
    rng = np.random.default_rng(seed)
    counts = [max(1, round(fraction * len(there))) for fraction in FRACTIONS]
    hidden = [np.empty(0, dtype=int)]
    for count in counts:
        hidden += [ranked[:count], *(rng.choice(there, count, replace=False) for _ in range(RANDOM_DRAWS))]
    batch = torch.cat([hide_patches(pixels, cells, importance.shape) for cells in hidden])
    found = classifier.probabilities_from_pixels(batch)[:, class_index].tolist()
    whole, others = found[0], np.asarray(found[1:]).reshape(len(FRACTIONS), 1 + RANDOM_DRAWS)
    drops, random_drops = whole - others[:, 0], whole - others[:, 1:].mean(axis=1)
    steps = [
        {"fraction": f, "patches": n, "drop": float(d), "random_drop": float(r)}
        for f, n, d, r in zip(FRACTIONS, counts, drops, random_drops, strict=True)
    ]
    return {
        "probability": whole,
        "random_draws": RANDOM_DRAWS,
        "steps": steps,
        "mean_drop": float(drops.mean()),
        "mean_random_drop": float(random_drops.mean()),
    }


def randomisation(captured: Captured, class_index: int, explainer: Explainer, seed: int = 0) -> float | None:
    """Spearman rank correlation of a map with the one after the last block was randomised; None if one is flat."""
    from scipy.stats import spearmanr

    shuffled = capture(with_shuffled_block(captured.classifier, seed), captured.pixels)
    own, other = (explainer.map_set(each, [class_index]).maps[0] for each in (captured, shuffled))
    there = np.isfinite(own)
    if np.ptp(own[there]) == 0 or np.ptp(other[there]) == 0:
        return None
    return float(spearmanr(own[there], other[there]).statistic)


def with_shuffled_block(classifier: ExplainedClassifier, seed: int = 0) -> ExplainedClassifier:
    """The same model with the weights of its last image block in random order; the shared tower stays as it is."""
    backbone, method = classifier.backbone, copy.copy(classifier.method)
    *blocks, last = backbone.image_blocks()
    method.task = replace(method.task, backbone=backbone.with_image_blocks([*blocks, _shuffled_copy(last, seed)]))
    other = copy.copy(classifier)
    other.method = method  # type: ignore[misc]
    return other


def hide_patches(pixels: Tensor, cells: np.ndarray, grid: tuple[int, ...]) -> Tensor:
    """A copy of one image (1, 3, size, size) whose listed grid cells show the image's mean colour."""
    hidden = torch.zeros(grid[0] * grid[1], device=pixels.device)
    hidden[torch.as_tensor(cells, dtype=torch.long, device=pixels.device)] = 1
    mask = nn.functional.interpolate(hidden.reshape(1, 1, *grid), size=pixels.shape[-2:], mode="nearest-exact")
    return torch.where(mask > 0, pixels.mean(dim=(2, 3), keepdim=True), pixels)


def _shuffled_copy(block: nn.Module, seed: int) -> nn.Module:
    """A copy whose tensors keep their values but in random order, so that only what was learned is lost."""
    shuffled = copy.deepcopy(block)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in shuffled.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
    return shuffled


def _verdict(faithful: bool, sensitive: bool | None, removed: dict[str, Any], correlation: float | None) -> str:
    drops = f"{removed['mean_drop']:.2f} against {removed['mean_random_drop']:.2f}"
    first = (
        f"Hiding what the map marks lowers the probability more than hiding random patches ({drops})"
        if faithful
        else f"Hiding what the map marks matters no more than hiding random patches ({drops})"
    )
    if sensitive is None:
        return f"{first}; the map is flat, so it says nothing about where the model looks."
    second = (
        f"the map changes when the last block is randomised (rank correlation {correlation:.2f})"
        if sensitive
        else f"the map hardly changes when the last block is randomised (rank correlation {correlation:.2f})"
    )
    joined = "and" if faithful == sensitive else "but"
    closing = {
        (True, True): "It follows this model on this image.",
        (True, False): "Read it with care: it may show the picture's structure rather than what was learned.",
        (False, True): "Read it with care: the decision does not rest on the marked places alone.",
        (False, False): "Do not rely on this map.",
    }[faithful, sensitive]
    return f"{first}, {joined} {second}. {closing}"
