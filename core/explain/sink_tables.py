"""Sink measures of whole passes as JSON-ready tables: one image at once, or many images summed up head by head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.backbones.tower_pass import TokenLayout, TowerPass
from core.errors import Unavailable
from core.explain.calibration import OUTLIER_IMAGES, OUTLIER_PATCHES, PatchNorms
from core.explain.captured import Captured
from core.explain.classifier import ExplainedClassifier
from core.explain.sinks import KINDS, MEANINGS, HeadSinks, kind_of_head, massive_activations, measure_heads

FIRST_CELLS = 4
"""Patches whose draw is told apart: the ones that vectors replace, and the sinks of some large towers."""
CLASS_TOKEN = "class token"
Row = dict[str, Any]


@dataclass(frozen=True)
class PassSinks:
    """One pass of one or several images. heads: by block. names: by block, what stands at each position.

    norms: (blocks, images, patches), of what each block gives. hidden: by block, its largest values. first_cells:
    (blocks, images), share of the class token's attention on the first four patches of the grid, heads averaged.
    vectors: by block, value-norm ratios of the added vectors (images, heads, vectors).
    """

    heads: list[HeadSinks]
    names: list[list[str]]
    norms: np.ndarray
    hidden: list[Row]
    first_cells: np.ndarray
    vectors: list[np.ndarray]


def sinks_of_pass(backbone: Backbone, tower: TowerPass) -> PassSinks:
    """Measures of a captured pass, every block."""
    heads, names, norms, hidden, first, vectors = [], [], [], [], [], []
    with torch.no_grad():
        for layer, block in enumerate(tower.blocks):
            found = measure_heads(block.weights, block.value, backbone.attention_output(layer))
            here = names_of_tokens(tower.layout, block.weights.shape[-1])
            patches = [place for place, name in enumerate(here) if name.startswith("patch")]
            leaves = _leaves(backbone, tower, layer)
            heads.append(found)
            names.append(here)
            norms.append(leaves[:, patches].float().norm(dim=-1).double().cpu().numpy())
            hidden.append(massive_activations(leaves))
            first.append(_draw_of_first_cells(block.weights, here, tower.layout))
            extra = [place for place, name in enumerate(here) if name.startswith("vector")]
            vectors.append(found.ratios[:, :, extra])
    return PassSinks(heads, names, np.stack(norms), hidden, np.stack(first), vectors)


def names_of_tokens(layout: TokenLayout, length: int) -> list[str]:
    """What stands at each position of a block with so many tokens: "class token", "vector 0", "patch 3, 5", "token 1".

    Rows and columns of patches count from 0. A block before the vectors enter has fewer tokens than the last one.
    """
    total = 1 + max(layout.class_token, *layout.extra, *layout.patches)
    names = [f"token {place}" for place in range(total)]
    names[layout.class_token] = CLASS_TOKEN
    for number, place in enumerate(layout.extra):
        names[place] = f"vector {number}"
    for place, cell in zip(layout.patches, layout.patch_index, strict=True):
        names[place] = "patch {}, {}".format(*divmod(cell, layout.grid[1]))
    if length < total:
        names = [name for place, name in enumerate(names) if place not in layout.extra]
    return names


def sink_table(captured: Captured) -> Row:
    """Sinks of one image: {"heads": one row a layer and head, "layers": one row a block, "summary": counts, sentence}.

    JSON-ready. A head's `label` is "NOP-like", "broadcast-like", "mixed" or None; `meanings` says what they are.
    """
    found = sinks_of_pass(captured.backbone, captured.tower)
    rows = [_head_row(found, layer, head) for layer, head in _units(found.heads)]
    layers = _layer_rows([found])
    return {"heads": rows, "layers": layers, "summary": _summary(rows, layers, 1), "meanings": MEANINGS}


def _head_row(found: PassSinks, layer: int, head: int, image: int = 0) -> Row:
    block = found.heads[layer]
    at, place = (image, head), int(block.sink[image, head])
    return {
        "layer": layer,
        "head": head,
        "sink": found.names[layer][place],
        "position": place,
        "column_sum": float(block.column_sums[image, head, place]),
        "concentration": float(block.concentration[at]),
        "mass": float(block.mass[at]),
        "routed": float(block.routed[at]),
        "least": float(block.least[at]),
        "event": bool(block.event[at]),
        "rho_out": float(block.rho_out[at]),
        "rho_head": float(block.rho_head[at]),
        "rho_vectors": [float(ratio) for ratio in found.vectors[layer][image, head]],
        "stable_rank": float(block.stable_rank[at]),
        "effective_rank": float(block.effective_rank[at]),
        "label": block.kind(image, head),
    }


@dataclass
class SinkSurvey:
    """Passes of many images, kept as numbers. Add each pass, then ask for the tables."""

    _passes: list[PassSinks] = field(default_factory=list)

    def add(self, found: PassSinks) -> None:
        """Take in a pass of some images."""
        self._passes.append(found)

    @property
    def n(self) -> int:
        """Images so far."""
        return sum(len(found.heads[0].sink) for found in self._passes)

    def head_rows(self) -> list[Row]:
        """One row a layer and head: medians over images, shares of images with an event of each kind, and a label."""
        if not self._passes:
            return []
        return [self._head_row(layer, head) for layer, head in _units(self._passes[0].heads)]

    def layer_rows(self) -> list[Row]:
        """One row a block: concentration, norms of patches, massive activations, draw of the first patches."""
        return _layer_rows(self._passes) if self._passes else []

    def summary(self, rows: Sequence[Row] | None = None) -> Row:
        """Counts of heads by label and the caption, block 0 apart."""
        return _summary(rows or self.head_rows(), self.layer_rows(), self.n)

    def _head_row(self, layer: int, head: int) -> Row:
        single = [
            _head_row(found, layer, head, image) for found in self._passes for image in range(len(found.heads[0].sink))
        ]
        kinds, sinks = [row["label"] for row in single], Counter(row["sink"] for row in single)
        (usual, often), n = sinks.most_common(1)[0], len(single)
        return {
            "layer": layer,
            "head": head,
            "n": n,
            "sink": usual,
            "sink_images": often / n,
            "events": sum(row["event"] for row in single) / n,
            **{_KEYS[kind]: kinds.count(kind) / n for kind in KINDS},
            **{name: float(np.median([row[name] for row in single])) for name in _MEDIANS},
            "rho_vectors": np.median([row["rho_vectors"] for row in single], axis=0).tolist(),
            "label": kind_of_head(kinds),
        }


_KEYS = {kind: kind.split("-")[0].lower() for kind in KINDS}
_MEDIANS = (
    "column_sum",
    "concentration",
    "mass",
    "routed",
    "least",
    "rho_out",
    "rho_head",
    "stable_rank",
    "effective_rank",
)


def survey_sinks(
    classifier: ExplainedClassifier, batches: Iterable[Tensor], step: Callable[[], None] = lambda: None
) -> SinkSurvey:
    """Sinks of the model's own tower over batches of model input (images, 3, size, size); step: before each pass.

    Raises Unavailable for a method that makes no pass through the tower.
    """
    survey = SinkSurvey()
    for pixels in batches:
        step()
        passes: list[TowerPass] = []
        with torch.no_grad(), classifier.backbone.capturing(passes):
            classifier.method.encode_images(pixels.to(classifier.backbone.device))
        if not passes:
            raise Unavailable(
                "A pass through the image tower", f"the method {type(classifier.method).__name__} makes none"
            )
        survey.add(sinks_of_pass(classifier.backbone, passes[-1]))
    return survey


def _units(heads: Sequence[HeadSinks]) -> list[tuple[int, int]]:
    return [(layer, head) for layer, block in enumerate(heads) for head in range(block.sink.shape[1])]


def _leaves(backbone: Backbone, tower: TowerPass, layer: int) -> Tensor:
    """What a block gives of all its tokens; the last block of a pass may have worked on the class token alone."""
    block = tower.blocks[layer]
    if block.leaves.shape[1] == block.enters.shape[1]:
        return block.leaves.detach()
    return backbone.open_block(layer, block.enters.detach()).leaves.detach()


def _draw_of_first_cells(weights: Tensor, names: Sequence[str], layout: TokenLayout) -> np.ndarray:
    cells = {"patch {}, {}".format(*divmod(cell, layout.grid[1])) for cell in range(FIRST_CELLS)}
    places = [place for place, name in enumerate(names) if name in cells]
    rows = weights[:, :, names.index(CLASS_TOKEN)].detach().double().mean(dim=1)
    found: np.ndarray = rows[:, places].sum(dim=-1).cpu().numpy()
    return found


def _layer_rows(passes: Sequence[PassSinks]) -> list[Row]:
    norms = PatchNorms(np.concatenate([found.norms for found in passes], axis=1)).rows()
    rows = []
    for layer, norm in enumerate(norms):
        hidden = max((found.hidden[layer] for found in passes), key=lambda each: each["largest"][0])
        concentration = np.concatenate([found.heads[layer].block_concentration for found in passes])
        first = np.concatenate([found.first_cells[layer] for found in passes])
        rows.append(
            {
                "layer": layer,
                "concentration": float(np.median(concentration)),
                "first_cells": float(first.mean()),
                **{name: value for name, value in norm.items() if name != "block"},
                "hidden": hidden,
            }
        )
    return rows


def _summary(rows: Sequence[Row], layers: Sequence[Row], n: int) -> Row:
    """Counts and the caption; what happens in block 0 meets raw embeddings and is counted apart."""
    later, first = [row for row in rows if row["layer"] > 0], [row for row in rows if row["layer"] == 0]
    counts = {kind: sum(row["label"] == kind for row in later) for kind in KINDS}
    outliers = [
        row for row in layers if row["outlier_patches"] >= OUTLIER_PATCHES and row["outlier_images"] >= OUTLIER_IMAGES
    ]
    massive = [row["layer"] for row in layers if row["hidden"]["massive"]]
    sinks = Counter(row["sink"] for row in later)
    found: Row = {
        "n": n,
        "heads": len(later),
        "labels": counts,
        "first_block": {kind: sum(row["label"] == kind for row in first) for kind in KINDS},
        "events_per_image": sum(row.get("events", row.get("event", 0)) for row in later),
        "first_block_events_per_image": sum(row.get("events", row.get("event", 0)) for row in first),
        "usual_sinks": dict(sinks.most_common(3)),
        "concentration": [min(r["concentration"] for r in layers), max(r["concentration"] for r in layers)],
        "massive_layers": massive,
        "outlier_layers": [row["layer"] for row in outliers],
        "meanings": MEANINGS,
    }
    return found | {"caption": caption(found)}


def caption(summary: Row) -> str:
    """What the counts say, for people."""
    n, heads, labels = summary["n"], summary["heads"], summary["labels"]
    total, images = sum(labels.values()), "this image" if summary["n"] == 1 else f"most of {n} images"
    if heads == 0:
        return "The tower has one block alone, which meets raw embeddings: nothing is said of sinks."
    name, often = next(iter(summary["usual_sinks"].items()))
    said = [
        f"After block 0, {total} of {heads} heads gather attention on one token in {images}"
        + (
            f": {labels['NOP-like']} NOP-like, {labels['broadcast-like']} broadcast-like, {labels['mixed']} mixed."
            if total
            else ", so none is called NOP-like or broadcast-like."
        ),
        f"The token that receives most is the {name} in {often} of {heads} heads.",
    ]
    if summary["outlier_layers"]:
        said.append(f"Some patches are far longer than the rest after block {_listed(summary['outlier_layers'])}.")
    else:
        said.append("No patch is far longer than the rest.")
    if summary["massive_layers"]:
        said.append(f"Massive activations stand after block {_listed(summary['massive_layers'])}.")
    return " ".join(said)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
