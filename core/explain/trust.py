"""How far to trust a map: does hiding what it marks matter, and does it follow the model's weights?

Sources: deletion as in RISE (Petsiuk et al., BMVC 2018), hidden patches filled with the image's mean colour; against
random patches, since a filled hole alone can change the answer (Rong et al., ICML 2022); randomisation of the last
block as in Sanity Checks for Saliency Maps (Adebayo et al., NeurIPS 2018).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.backbones.contract import Backbone, ImageAttention
from core.explain.classifier import ExplainedClassifier
from core.explain.grad_cam import GradCamMap, grad_cam
from core.explain.region import peak_quadrant, quadrant_share

FRACTIONS = (0.1, 0.2, 0.4)
RANDOM_DRAWS = 5
MARGIN = 0.02
"""Probability by which hiding marked patches must beat hiding random ones."""
ALIKE = 0.5
"""Rank correlation from which a map counts as unmoved by randomised weights."""


def trust(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    class_index: int,
    cam: GradCamMap,
    layout: ImageAttention,
    seed: int = 0,
) -> dict[str, Any]:
    """Both tests for one Grad-CAM map, its strongest quarter, and a sentence.

    Returns {deletion, randomisation, peak {quadrant, share}, faithful, sensitive, verdict}. faithful: hiding marked
    patches lowers the class's probability by more than hiding random ones. sensitive: the map changes when the last
    block's weights are randomised; None where one of the maps is flat. One seed gives one result.
    """
    removed = deletion(classifier, pixels, class_index, cam.signed, seed)
    correlation = randomisation(classifier, pixels, class_index, cam, layout, seed)
    faithful = removed["mean_drop"] > removed["mean_random_drop"] + MARGIN
    sensitive = None if correlation is None else correlation < ALIKE
    return {
        "deletion": removed,
        "randomisation": {"rank_correlation": correlation, "randomised": "block of the image tower that the map reads"},
        "peak": {"quadrant": peak_quadrant(cam.signed), "share": quadrant_share(cam.positive)},
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


def randomisation(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    class_index: int,
    cam: GradCamMap,
    layout: ImageAttention,
    seed: int = 0,
) -> float | None:
    """Spearman rank correlation of the map with the one after the block it reads was randomised; None if flat."""
    from scipy.stats import spearmanr

    with randomised_block(classifier.backbone, seed) as layer:
        other = grad_cam(classifier, pixels, class_index, layout, layer)
    there = np.isfinite(cam.signed)
    first, second = cam.signed[there], other.signed[there]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


@contextmanager
def randomised_block(backbone: Backbone, seed: int = 0) -> Iterator[nn.Module]:
    """While open, this thread's passes go through a copy of the block Grad-CAM reads, its weights shuffled.

    Gives the copy's counterpart of `grad_cam_layer()`. The block itself is never written to: a hook puts the copy's
    output in place of its own, for this thread only, so that others may use the shared tower meanwhile.
    """
    block, path = next(
        (block, name)
        for block in backbone.image_blocks()
        for name, module in block.named_modules()
        if module is backbone.grad_cam_layer()
    )
    shuffled, owner = _shuffled_copy(block, seed), threading.get_ident()

    def instead(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        return shuffled(*args, **kwargs) if threading.get_ident() == owner else output

    handle = block.register_forward_hook(instead, with_kwargs=True)
    try:
        yield shuffled.get_submodule(path)
    finally:
        handle.remove()


def hide_patches(pixels: Tensor, cells: np.ndarray, grid: tuple[int, ...]) -> Tensor:
    """A copy of one image (1, 3, size, size) whose listed grid cells show the image's mean colour."""
    hidden = torch.zeros(grid[0] * grid[1], device=pixels.device)
    hidden[torch.as_tensor(cells, dtype=torch.long, device=pixels.device)] = 1
    mask = nn.functional.interpolate(hidden.reshape(1, 1, *grid), size=pixels.shape[-2:], mode="nearest-exact")
    return torch.where(mask > 0, pixels.mean(dim=(2, 3), keepdim=True), pixels)


def _shuffled_copy(block: nn.Module, seed: int) -> nn.Module:
    """A copy whose tensors keep their values but in random order, so that only what was learned is lost."""
    shuffled = copy.deepcopy(block)
    shuffled._forward_hooks.clear()  # a copy of somebody else's hook would listen to the copy as well
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
        f"the map changes when the block it reads is randomised (rank correlation {correlation:.2f})"
        if sensitive
        else f"the map hardly changes when the block it reads is randomised (rank correlation {correlation:.2f})"
    )
    joined = "and" if faithful == sensitive else "but"
    closing = {
        (True, True): "It follows this model on this image.",
        (True, False): "Read it with care: it may show the picture's structure rather than what was learned.",
        (False, True): "Read it with care: the decision does not rest on the marked places alone.",
        (False, False): "Do not rely on this map.",
    }[faithful, sensitive]
    return f"{first}, {joined} {second}. {closing}"
