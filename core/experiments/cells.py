"""The cells of an experiment: one training each, named by all that its result depends on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.errors import InvalidInput
from core.experiments.spec import MOST_CELLS, Candidate, ExperimentSpec
from core.images.image_set import ImageSet
from core.images.labelled_image import digest
from core.tuning.fitting import Setup
from core.tuning.recipe import get_recipe
from core.tuning.registry import get_method

RULES = 1
"""Raised whenever drawing, training or measuring changes so that an old cell no longer stands for a new one."""

MOST_IN_STEP = 8
"""More trainings at once would need more memory and be lost together when a process is killed."""


@dataclass(frozen=True)
class Cell:
    """One training of an experiment.

    position: its place, from 0. image_set, descriptions: as the experiment names them. shots: per class, None for all.
    share: of the labels, for the protocol "full".
    """

    position: int
    image_set: str
    candidate: Candidate
    shots: int | None
    share: float | None
    seed: int
    descriptions: str | None = None

    @property
    def label(self) -> str:
        """How people tell it from the others."""
        return self.named(self.candidate.method)

    def named(self, method: str) -> str:
        """The same with another name of its method, say the one that people know."""
        if self.share is not None:
            amount = f"{self.share:.0%} of the labels"
        else:
            amount = "all images" if self.shots is None else f"{self.shots} {'shot' if self.shots == 1 else 'shots'}"
        worded = f", {self.descriptions}" if self.descriptions else ""
        own, known = self.candidate.label or self.candidate.method, self.candidate.method
        line = method + own.removeprefix(known) if own.startswith(known) else own
        return f"{line} on {self.image_set}, {amount}, seed {self.seed}{worded}"

    def differs_in_seed_only(self, other: Cell) -> bool:
        """Whether the two could be trained in step."""
        return replace(self, seed=other.seed, position=other.position) == other


def in_step(cells: Sequence[Cell], most: int = MOST_IN_STEP) -> Iterator[list[Cell]]:
    """The cells in order, those next to each other that differ in their seed only as one list of at most `most`."""
    group: list[Cell] = []
    for cell in cells:
        if group and (len(group) == most or not group[0].differs_in_seed_only(cell)):
            yield group
            group = []
        group.append(cell)
    if group:
        yield group


def plan_cells(spec: ExperimentSpec, baseline: str | None = None) -> list[Cell]:
    """All cells, ordered so that those that share most come one after the other.

    baseline: the method that learns nothing: where the experiment does not name it, one seed of it is enough. Raises
    InvalidInput for more cells than can be meant.
    """
    named = {line.method for line in spec.candidates}
    lines = list(spec.candidates)
    added = Candidate(baseline, label=baseline) if baseline and baseline not in named else None
    amounts = [(None, share) for share in spec.shares] if spec.protocol == "full" else [(k, None) for k in spec.shots]
    grid = product(spec.images, spec.descriptions, [*([added] if added else []), *lines], amounts, spec.seeds)
    cells: list[Cell] = []
    for image_set, wording, line, (shots, share), seed in grid:
        if line is added and seed != spec.seeds[0]:
            continue
        cells.append(Cell(len(cells), image_set, line, shots, share, seed, wording))
        if len(cells) > MOST_CELLS:
            raise InvalidInput(
                f"An experiment of at most {MOST_CELLS} cells",
                "found more",
                "Choose fewer sets, lines, shots or seeds.",
            )
    return cells


def cell_setup(spec: ExperimentSpec, cell: Cell, image_set: ImageSet, forced: Mapping[str, Any] | None = None) -> Setup:
    """How a cell is trained. forced: option values of a controlled comparison, for those the method has."""
    line = cell.candidate
    recipe = get_recipe(line.recipe) if line.recipe else None
    known = get_method(line.method).Config.__dataclass_fields__
    options = dict(line.options) | {name: value for name, value in (forced or {}).items() if name in known}
    return Setup(
        line.method,
        line.variant,
        options,
        spec.epochs,
        spec.views,
        spec.modality or image_set.modality,
        spec.template,
        recipe,
    )


def cell_hash(
    spec: ExperimentSpec,
    cell: Cell,
    setup: Setup,
    image_set: ImageSet,
    targets: Mapping[str, ImageSet],
    texts: DescriptionSet | None,
    tower: Backbone,
) -> str:
    """SHA-256 over all that a cell's result depends on: two cells of one hash need one training."""
    config, _ = setup.config(tower.name)
    facts = {
        "rules": RULES,
        "data": image_set.fingerprint,
        "targets": {name: found.fingerprint for name, found in targets.items()},
        "protocol": spec.protocol,
        "base_classes": list(spec.base_classes),
        "controlled": spec.controlled,
        "allow_leakage": spec.allow_leakage,
        "method": setup.method,
        "recipe": setup.recipe.hash if setup.recipe else None,
        "options": config.as_dict(),
        "shots": cell.shots,
        "share": cell.share,
        "seed": cell.seed,
        "modality": setup.modality,
        "template": setup.template,
        "texts": texts.fingerprint if texts else None,
        "backbone": tower.checksum,
        "precision": tower.precision,
    }
    return digest([json.dumps(facts, sort_keys=True, default=str)])
