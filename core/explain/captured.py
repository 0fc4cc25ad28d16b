"""One open pass of a trained model on one image, and the gradients that class maps are made of.

The scores are z = method.logits(f / |f|). Their gradient with respect to the feature is taken class by class through
the method's head, which is cheap; what lies between the feature and the last block is linear in it and runs backwards
for all classes at once. Only the last blocks hold a graph, so the pass costs little more than classification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.attention import split_heads
from core.backbones.contract import Backbone, ImageAttention
from core.backbones.tower_pass import BlockParts, TokenLayout, TowerPass
from core.errors import Unavailable
from core.explain.classifier import ExplainedClassifier, check_reads_backbone, probabilities_of

Target = Literal["logit", "centred", "margin"]
TARGETS: tuple[Target, ...] = ("logit", "centred", "margin")
"""The class's score; minus the mean of all classes' scores; minus the largest score of another class."""
Graph = Literal["last", "third", "all"]
"""Blocks that hold a graph: the last, the last third, or all of them."""
CLASSES_AT_ONCE = 32
MAPS_AT_ONCE = 8
"""Classes whose gradients through several blocks are held at once: each takes a matrix of all tokens a head."""
IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class LastGradients:
    """Gradients of class scores in the last block, one row a class.

    normed: (classes, tokens, width), of its first norm's output. mixed: (classes, heads, width / heads), of what the
    class token's attention mixed, before the output projection. weights: (classes, heads, tokens), of the class token's
    row of attention; other rows have none, since only this token is read.
    """

    normed: Tensor
    mixed: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Captured:
    """One image's pass: scores, parts of every block, and gradients on request.

    features: unit-norm (1, joint_width), at the end of the graph. logits: (classes,) float32 on the CPU, without
    gradient. graph: which blocks hold one. Make one with `capture`.
    """

    classifier: ExplainedClassifier
    pixels: Tensor
    features: Tensor = field(repr=False)
    logits: Tensor
    tower: TowerPass = field(repr=False)
    graph: Graph
    _head: tuple[Tensor, Tensor] = field(repr=False)
    """The features as a leaf, and the scores (classes,) in their graph."""
    _known: dict[tuple[Any, ...], LastGradients] = field(repr=False, default_factory=dict)
    """Gradients that were asked for before: several explainers read the same."""
    _wider: dict[Graph, Captured] = field(repr=False, default_factory=dict)
    """Passes of the same image that hold more of the graph."""
    drawn: dict[str, dict[int, np.ndarray]] = field(repr=False, default_factory=dict)
    """Maps drawn of this pass, {explainer: {class index: (rows, columns)}}, for who draws those of several classes."""

    @property
    def backbone(self) -> Backbone:
        """The dual encoder below."""
        return self.classifier.backbone

    @property
    def layout(self) -> TokenLayout:
        """Where tokens stand in the last block."""
        return self.tower.layout

    @property
    def last(self) -> BlockParts:
        """The parts of the last block."""
        return self.tower.blocks[-1]

    @property
    def attention(self) -> ImageAttention:
        """All attention weights of this very pass: for a method that works inside the tower, the tuned tower's."""
        return self.tower.attention

    @property
    def probabilities(self) -> Tensor:
        """Calibrated probabilities (classes,) of this float32 pass, on the CPU."""
        return probabilities_of(self.classifier, self.logits)

    @property
    def predicted(self) -> int:
        """Index of the class with the highest score."""
        return int(self.logits.argmax())

    def with_graph(self, graph: Graph) -> Captured:
        """The same pass with a graph through at least these blocks: itself, or a second pass made once."""
        if first_block(self.graph, self.backbone.image_layers) <= first_block(graph, self.backbone.image_layers):
            return self
        if graph not in self._wider:
            self._wider[graph] = capture(self.classifier, self.pixels, graph)
        return self._wider[graph]

    @cached_property
    def _jacobian(self) -> Tensor:
        """Gradient of each class's score with respect to the unit-norm feature: (classes, joint_width)."""
        leaf, scores = self._head
        return torch.stack([torch.autograd.grad(score, leaf, retain_graph=True)[0][0] for score in scores])

    def score_rows(self, class_indices: Sequence[int], target: Target = "logit") -> Tensor:
        """Gradient of the explained scalar with respect to the unit-norm feature: (classes, joint_width)."""
        rows = self._jacobian.double()
        return (target_matrix(self.logits, target).to(rows.device) @ rows)[list(class_indices)].float()

    def scalar(self, class_index: int, target: Target = "logit") -> float:
        """The explained scalar itself, in units of the class score."""
        return float((target_matrix(self.logits, target) @ self.logits.double())[class_index])

    def last_gradients(self, class_indices: Sequence[int], target: Target = "logit") -> LastGradients:
        """Gradients in the last block for these classes, by one batched backward pass through it."""
        asked = (tuple(class_indices), target)
        if asked not in self._known:
            self._known[asked] = self._last_gradients(class_indices, target)
        return self._known[asked]

    def _last_gradients(self, class_indices: Sequence[int], target: Target) -> LastGradients:
        last, heads = self.last, self.last.value.shape[1]
        normed, mixed = [], []
        for rows in self.score_rows(class_indices, target).split(CLASSES_AT_ONCE):
            found = gradients_of(self.features, (last.normed, last.mixed), rows)
            normed.append(found[0][:, 0])
            mixed.append(split_heads(found[1][:, 0], heads)[:, :, self.layout.class_token])
        read = torch.cat(mixed)
        weights = torch.einsum("chd,htd->cht", read, last.value[0].detach())
        return LastGradients(torch.cat(normed), read, weights)

    def attention_gradients(
        self, class_indices: Sequence[int], graph: Graph = "all", target: Target = "logit"
    ) -> dict[int, Tensor]:
        """Gradients of class scores with respect to attention weights: {block: (classes, heads, tokens, tokens)}."""
        wider, layers = self.with_graph(graph), self.backbone.image_layers
        blocks = range(first_block(graph, layers), layers)
        weights = tuple(wider.tower.blocks[block].weights for block in blocks)
        rows = self.score_rows(class_indices, target)
        parts = [gradients_of(wider.features, weights, some) for some in rows.split(MAPS_AT_ONCE)]
        return {block: torch.cat(found)[:, 0] for block, found in zip(blocks, zip(*parts, strict=True), strict=True)}

    def scores_of(self, pixels: Tensor) -> Tensor:
        """Scores (images, classes) of other model input, float32 on the CPU, without gradient."""
        one_by_one = getattr(self.classifier.method, "per_image_text", False)
        found = []
        with torch.inference_mode():
            for chunk in pixels.split(1 if one_by_one else IMAGES_AT_ONCE):
                found.append(self.classifier.logits_from_pixels(chunk).float().cpu())
        return torch.cat(found).clone()

    def probabilities_of(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities (images, classes) of other model input, as classification gives them."""
        chunks = pixels.split(IMAGES_AT_ONCE)
        return torch.cat([self.classifier.probabilities_from_pixels(chunk) for chunk in chunks])

    def on_grid(self, values: Tensor) -> np.ndarray:
        """Values of tokens (..., tokens) on the patch grid (..., rows, columns), float64; replaced cells are NaN."""
        return on_grid(values[..., list(self.layout.patches)], self.layout)


def capture(classifier: ExplainedClassifier, pixels: Tensor, graph: Graph = "last") -> Captured:
    """One pass of pixels (1, 3, size, size) in float32, its parts left open.

    graph: the blocks that hold one; it begins at what enters the first of them. No parameter receives a gradient.
    Raises Unavailable for a backbone that does not open its blocks, or a method that never runs them.
    """
    check_reads_backbone(classifier)
    backbone, passes = classifier.backbone, list[TowerPass]()
    begin = first_block(graph, backbone.image_layers)
    pixels = pixels.to(backbone.device)
    with torch.inference_mode(False), torch.enable_grad(), backbone.capturing(passes, begin):
        features = classifier.method.encode_images(pixels)
    if not passes:
        raise Unavailable(
            "A map needs a pass through the image tower",
            f"the method {type(classifier.method).__name__} makes none",
            "Explain a model of another method.",
        )
    leaf, scores = open_scores(classifier, features)
    logits = scores.detach().float().cpu()
    return Captured(classifier, pixels, features, logits, passes[-1], graph, (leaf, scores))


def first_block(graph: Graph, layers: int) -> int:
    """The first block that holds a graph, of so many."""
    return {"last": layers - 1, "third": layers - max(1, round(layers / 3)), "all": 0}[graph]


def open_scores(classifier: ExplainedClassifier, features: Tensor) -> tuple[Tensor, Tensor]:
    """Unit-norm features (1, joint_width) as a leaf, and the class scores (classes,) in its graph.

    Where texts are made for each image, they are part of the graph.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        return leaf, classifier.method.logits(leaf)[0]


def gradients_of(features: Tensor, parts: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    """Gradients (rows, *part) of the products features @ row, all rows at once.

    features: (1, joint_width) at the end of a graph that holds the parts. rows: (rows, joint_width).
    """
    return torch.autograd.grad(features, parts, rows[:, None].to(features), retain_graph=True, is_grads_batched=True)


def target_matrix(logits: Tensor, target: Target) -> Tensor:
    """Class scores (classes,) to explained scalars, as a matrix (classes, classes), float64."""
    n = len(logits)
    plain = torch.eye(n, dtype=torch.float64)
    if target == "logit" or n < 2:
        return plain
    if target == "centred":
        return plain - 1 / n
    others = logits.double().expand(n, n).masked_fill(torch.eye(n, dtype=torch.bool), float("-inf"))
    return plain - functional.one_hot(others.argmax(dim=1), n)


def on_grid(patches: Tensor, layout: TokenLayout) -> np.ndarray:
    """Values of the patches that are there (..., patches) on the grid (..., rows, columns); the others are NaN."""
    values = patches.detach().double().cpu().numpy()
    cells = np.full((*values.shape[:-1], layout.grid[0] * layout.grid[1]), np.nan)
    cells[..., list(layout.patch_index)] = values
    return cells.reshape(*values.shape[:-1], *layout.grid)
