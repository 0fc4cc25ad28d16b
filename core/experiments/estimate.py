"""How long cells will take and how much memory: what each takes by itself, and once what they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import PromptoscopeError
from core.experiments.cells import Cell, in_step
from core.experiments.costs import Cost, images_per_step, step_scale
from core.experiments.spec import ExperimentSpec
from core.experiments.unread import Kept, planned_config, unread_pictures
from core.images.image_set import ImageSet
from core.images.protocol_draws import halves
from core.tuning.config import LoopConfig, MethodConfig, steps_per_epoch
from core.tuning.loop import shares_steps
from core.tuning.registry import get_method

SPREAD_OF_PICTURES = 1.4
SPREAD_OF_MACHINE = 1.35
"""By which factor the machine may be busier or less so than when it was measured: what all parts have in common."""
RECORDING_S = 0.08
"""Saving a model and recording a cell with its answers."""
USUAL_PICTURE_S = 0.03
"""Of a picture through the image tower, where nothing has been measured."""


@dataclass(frozen=True)
class Machine:
    """What cells share, as measured here.

    start_s: until the first cell begins. picture_s: of one picture through the image tower, by image set; "" is any
    other. search_s: of the search for leakage, by image set. tower, kept: to look up which features are there, see
    `unread_pictures`.
    """

    start_s: float = 0.0
    picture_s: Mapping[str, float] = field(default_factory=dict)
    search_s: Mapping[str, float] = field(default_factory=dict)
    tower: tuple[str, ...] = ()
    kept: Kept | None = None

    def seconds_of(self, image_set: str) -> float:
        """Seconds of a picture of this set."""
        known = self.picture_s
        usual = sum(known.values()) / len(known) if known else USUAL_PICTURE_S
        return known.get(image_set, known.get("", usual))


@dataclass(frozen=True)
class Estimate:
    """Of the cells of which something is known: seconds and megabytes, None where nothing is. unknown: methods.

    low, high: seconds between which it probably lies. shared: those of `seconds` that are spent once for all cells, on
    features of pictures, the search for leakage and the start.
    """

    n_cells: int
    seconds: float | None
    low: float | None
    high: float | None
    peak_mb: float | None
    by_earlier_runs: tuple[str, ...]
    by_timing: tuple[str, ...]
    unknown: tuple[str, ...]
    shared: float = 0.0

    @property
    def sentence(self) -> str:
        """For people, with what it rests on."""
        if not self.n_cells:
            return "No cell is to be computed."
        cells = "1 cell" if self.n_cells == 1 else f"{self.n_cells} cells"
        memory = f" and {self.peak_mb / 1000:.1f} GB of memory" if self.peak_mb else ""
        time_ = "of unknown length"
        if self.seconds is not None and self.low is not None and self.high is not None:
            between = f" ({duration_text(self.low)} to {duration_text(self.high)})"
            time_ = f"about {duration_text(self.seconds)}{between}{memory}"
        said = [
            (self.by_earlier_runs, "by earlier runs on this machine"),
            (self.by_timing, "by a few steps timed now"),
            (self.unknown, "not known and left out"),
        ]
        reasons = "; ".join(f"{', '.join(names)} {how}" for names, how in said if names)
        return f"{cells}, {time_}: {reasons}."

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "n_cells": self.n_cells,
            "seconds": self.seconds,
            "low": self.low,
            "high": self.high,
            "shared": self.shared,
            "peak_mb": self.peak_mb,
            "by_earlier_runs": list(self.by_earlier_runs),
            "by_timing": list(self.by_timing),
            "unknown": list(self.unknown),
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Part:
    """Seconds of one kind, and the factor by which they may be off."""

    seconds: float
    spread: float


def total(parts: Sequence[Part]) -> tuple[float, float, float]:
    """(seconds, low, high) of parts that err independently, on a machine that may be busier or less so.

    The distances of the ends add up as squares: it is unlikely that all parts are off to the same side at once.
    """
    middle = sum(part.seconds for part in parts)
    up = math.sqrt(sum((part.seconds * (part.spread - 1)) ** 2 for part in parts))
    down = math.sqrt(sum((part.seconds * (1 - 1 / part.spread)) ** 2 for part in parts))
    return middle, (middle - down) / SPREAD_OF_MACHINE, (middle + up) * SPREAD_OF_MACHINE


def estimate(
    spec: ExperimentSpec,
    cells: Sequence[Cell],
    image_sets: Mapping[str, ImageSet],
    backbone: str,
    costs: Mapping[str, Cost],
    machine: Machine | None = None,
    targets: Mapping[str, ImageSet] | None = None,
) -> Estimate:
    """What cells will take. costs: by method; of methods without one nothing is said but their names."""
    machine = machine or Machine()
    known = [cell for cell in cells if cell.candidate.method in costs]
    shared = _shared(spec, known, image_sets, targets or {}, backbone, machine)
    parts = [*shared, *_own(spec, known, image_sets, backbone, costs)]
    seconds, low, high = (round(value, 1) if known else None for value in total(parts))
    methods = list(dict.fromkeys(cell.candidate.method for cell in cells))
    peaks = [peak for cell in known if (peak := costs[cell.candidate.method].peak_mb)]
    return Estimate(
        len(cells),
        seconds,
        low,
        high,
        max(peaks, default=None),
        tuple(name for name in methods if name in costs and not costs[name].timed),
        tuple(name for name in methods if name in costs and costs[name].timed),
        tuple(name for name in methods if name not in costs),
        round(sum(part.seconds for part in shared), 1),
    )


def _shared(
    spec: ExperimentSpec,
    cells: Sequence[Cell],
    image_sets: Mapping[str, ImageSet],
    targets: Mapping[str, ImageSet],
    backbone: str,
    machine: Machine,
) -> list[Part]:
    unread = unread_pictures(spec, cells, image_sets, targets, backbone, machine.tower, machine.kept)
    pictures = sum(number * machine.seconds_of(name) for name, number in unread.items())
    searched = {cell.image_set for cell in cells}
    search = sum(seconds for name, seconds in machine.search_s.items() if name in searched)
    return [Part(pictures, SPREAD_OF_PICTURES), Part(search + (machine.start_s if cells else 0.0), SPREAD_OF_PICTURES)]


def _own(
    spec: ExperimentSpec,
    cells: Sequence[Cell],
    image_sets: Mapping[str, ImageSet],
    backbone: str,
    costs: Mapping[str, Cost],
) -> list[Part]:
    """By method what its cells take beside the shared: the parts of one method err together."""
    fixed, stepped = dict.fromkeys(costs, 0.0), dict.fromkeys(costs, 0.0)
    spread = {name: cost.spread for name, cost in costs.items()}
    for together in in_step(cells):
        first = together[0]
        name = first.candidate.method
        cost, image_set = costs[name], image_sets[first.image_set]
        fixed[name] += (cost.fixed_s + RECORDING_S) * len(together)
        if not cost.per_step_s:
            continue
        try:
            config = planned_config(spec, first, image_set, backbone)
        except PromptoscopeError:
            continue  # the cell itself will say why
        kind, n_train = get_method(name), planned_images(spec, first, image_set)
        classes = len(_trained_on(spec, image_set))
        images = images_per_step(config, n_train)
        scale = step_scale(kind, config, classes, images, (cost.classes, cost.images))
        # the further a step is from those that were seen, the less is known of it
        spread[name] = max(spread[name], cost.spread * max(scale, 1 / scale) ** 0.5)
        steps = planned_steps(config, n_train, classes)
        at_once = len(together) if shares_steps(kind, config) else 1
        stepped[name] += cost.of_steps(steps, at_once, scale) * len(together) / at_once
    parts = [Part(seconds, costs[name].spread_of_fixed) for name, seconds in fixed.items()]
    return [*parts, *(Part(seconds, spread[name]) for name, seconds in stepped.items())]


def _trained_on(spec: ExperimentSpec, image_set: ImageSet) -> tuple[str, ...]:
    return halves(image_set.classes, spec.base_classes)[0] if spec.protocol == "base-to-novel" else image_set.classes


def planned_images(spec: ExperimentSpec, cell: Cell, image_set: ImageSet) -> int:
    """Images that a cell will train on, about."""
    classes, counts = _trained_on(spec, image_set), image_set.counts()
    if cell.shots is not None:
        return cell.shots * len(classes)
    return max(1, round(sum(counts[name]["train"] for name in classes) * (cell.share or 1.0)))


def planned_steps(config: MethodConfig, images: int, classes: int) -> int:
    """Update steps with these options on so many images; 0 for methods that take none."""
    if not isinstance(config, LoopConfig):
        return 0
    settled = config.settled(images, classes)
    return settled.epochs * steps_per_epoch(images, settled.batch_size, settled.drop_last)


def duration_text(seconds: float) -> str:
    """A duration for people, such as "40 s", "6 minutes" or "2.5 hours"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
