"""What zero vectors in the image tower do to attention: with and without them on one scale, and what if."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import Backbone, ImageAttention, LayerTokens
from core.backbones.tower_pass import TowerPass
from core.explain.attention import attention_map, layer_shares, mean_shares
from core.explain.classifier import ExplainedClassifier, probabilities_of
from core.explain.region import region_share
from core.tuning.contract import Method

COUNTS = (0, 1, 2, 4, 8, 16)
MODES: tuple[Literal["replace", "insert"], ...] = ("replace", "insert")
SCALE_QUANTILE = 0.98
ADDED = 4
"""Zero vectors added to a model that has none, so that their effect can be seen: as many as Biomed-DPT has."""


@dataclass(frozen=True)
class Redistribution:
    """The class token's attention with and without extra vectors, as maps (rows, columns) of raw shares.

    without, with_vectors: on one scale. difference: with minus without. Patches that the
    vectors replaced are not-a-number in with_vectors and difference. own: the model was trained with them; otherwise
    they were added here to see what they would do. zero: they are zero vectors, not learned ones.
    """

    without: np.ndarray
    with_vectors: np.ndarray
    difference: np.ndarray
    attention_without: ImageAttention
    attention_with: ImageAttention
    n: int
    mode: str
    own: bool
    zero: bool

    @property
    def scale(self) -> tuple[float, float]:
        """The one scale of both maps: 0 to the value that 98 % of all their patches stay below.

        Single patches often draw ten times the attention of all others; a scale up to them would hide the rest.
        """
        both = np.concatenate([self.without.ravel(), self.with_vectors.ravel()])
        return 0.0, float(np.nanquantile(both, SCALE_QUANTILE))

    @property
    def difference_scale(self) -> tuple[float, float]:
        """Symmetric about 0, so that the middle colour means no change."""
        most = float(np.nanmax(np.abs(self.difference)))
        return -most, most


def redistribution(
    classifier: ExplainedClassifier, pixels: Tensor, attention: ImageAttention | None = None
) -> Redistribution:
    """Runs the tower on one image (1, 3, size, size) without and with extra vectors.

    The vectors are the model's own; a model without any gets `ADDED` zero vectors in place of its first patches.
    attention: that of the model's own pass, for who has it already; it saves one of the two passes.
    """
    backbone, tokens = classifier.backbone, classifier.visual_tokens()
    own = tokens is not None
    if tokens is None:
        n = min(ADDED, backbone.patch_grid[0] * backbone.patch_grid[1] // 2)
        tokens = LayerTokens.zeros(n, backbone.image_width, backbone.image_layers, "replace")
    known = attention if follows_plain_path(classifier) else None
    plain = known if known is not None and not own else backbone.image_attention(pixels)
    changed = known if known is not None and own else backbone.image_attention(pixels, tokens)
    without, with_vectors = attention_map(plain), attention_map(changed)
    zero = all(vector is None or not bool(vector.detach().any()) for vector in tokens.vectors)
    return Redistribution(
        without, with_vectors, with_vectors - without, plain, changed, tokens.n, tokens.mode, own, zero
    )


def what_if(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    region: np.ndarray | None = None,
    step: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """One row per number of zero vectors and mode, each from a real pass of the tower with that many.

    zero_vectors, mode, layers (shares per layer), zero_share, class_token_share, patch_share, entropy (means over
    layers), class and top_probability (None where the method's own image path leaves no place for other vectors),
    lesion_share (with a region (size, size): its part of the attention on patches). Counts that would replace half
    the patches or more are left out. For a model without zero vectors this shows what adding them would do; only the
    image tower changes, nothing is trained again.
    step: called before each pass; what it raises ends the work.
    """
    patches = classifier.backbone.patch_grid[0] * classifier.backbone.patch_grid[1]
    counts = [k for k in COUNTS if k < patches / 2]
    untouched = _row(classifier, pixels, 0, MODES[0], region)
    rows = []
    for mode in MODES:
        rows.append({**untouched, "mode": mode})
        for k in counts[1:]:
            step()
            rows.append(_row(classifier, pixels, k, mode, region))
    return rows


def zero_vectors(backbone: Backbone, n: int, mode: Literal["insert", "replace"]) -> LayerTokens | None:
    """n zero vectors at every layer of the image tower, or None for n = 0."""
    return LayerTokens.zeros(n, backbone.image_width, backbone.image_layers, mode) if n else None


def attend_with(
    classifier: ExplainedClassifier, pixels: Tensor, tokens: LayerTokens | None
) -> tuple[ImageAttention, Tensor | None]:
    """One pass with other vectors in the image tower: its attention, and probabilities (batch, classes).

    Probabilities are None for a method with an image path of its own (adapters
    inside the tower, prompts made per image), for which they would have no meaning.
    """
    backbone = classifier.backbone
    passes: list[TowerPass] = []
    with torch.inference_mode(), backbone.capturing(passes):
        hidden = backbone.image_tokens(pixels, tokens)
        attention = passes[0].attention
        if not follows_plain_path(classifier):
            return attention, None
        features = functional.normalize(backbone.project_image(backbone.pool_image(hidden)).float(), dim=-1)
        return attention, probabilities_of(classifier, classifier.method.logits(features))


def follows_plain_path(classifier: ExplainedClassifier) -> bool:
    """Whether the method sees images through the plain tower with, at most, constant or learned vectors in it."""
    return getattr(type(classifier.method), "encode_images", None) is Method.encode_images


def _row(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    k: int,
    mode: Literal["insert", "replace"],
    region: np.ndarray | None,
) -> dict[str, Any]:
    tokens = zero_vectors(classifier.backbone, k, mode)
    attention, probabilities = attend_with(classifier, pixels, tokens)
    layers = layer_shares(attention)
    mean = mean_shares(layers)
    row: dict[str, Any] = {
        "zero_vectors": k,
        "mode": mode,
        "layers": layers,
        "zero_share": mean["zero_vectors"],
        "class_token_share": mean["class_token"],
        "patch_share": mean["patches"],
        "entropy": mean["entropy"],
        "class": None,
        "top_probability": None,
    }
    if probabilities is not None:
        best = int(probabilities[0].argmax())
        row |= {"class": classifier.classes[best], "top_probability": float(probabilities[0, best])}
    if region is not None:
        row["lesion_share"] = region_share(attention_map(attention), region).map_share
    return row
