"""How long cells will take and how much memory, judged by what the same methods took on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import PromptoscopeError
from core.experiments.cells import Cell, cell_setup
from core.experiments.controlled import controlled_options
from core.experiments.grid import Grid
from core.experiments.protocols import draw_cell, trained_classes
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.protocol_draws import halves, narrowed_draw
from core.peak_memory import peak_memory_mb
from core.tuning.config import LoopConfig, steps_per_epoch
from core.tuning.fitting import fit_classifier
from core.tuning.measure import measure

IMAGES_TIMED = 32
"""Test images that a method is measured on while it is timed; their features are kept, so nothing is done twice."""


LEAST_SPREAD, SPREAD_OF_TIMING, MOST_SPREAD = 1.25, 2.0, 4.0
"""Factors by which what is left may take less or more."""
SURELY_WARM_S = 10.0
"""A first timing that took longer than this is not repeated."""


@dataclass(frozen=True)
class Cost:
    """What a training of a method takes here: fixed_s and per_step_s in seconds, peak_mb of the process.

    timed: measured just now, by a few steps; otherwise by earlier runs. spread: by which factor it may be off, as far
    as earlier runs differ among each other.
    """

    fixed_s: float
    per_step_s: float
    peak_mb: float | None
    timed: bool = False
    spread: float = SPREAD_OF_TIMING


@dataclass(frozen=True)
class Estimate:
    """Of the cells of which something is known: seconds and megabytes, None where nothing is. unknown: methods.

    low, high: seconds between which it probably lies.
    """

    n_cells: int
    seconds: float | None
    low: float | None
    high: float | None
    peak_mb: float | None
    by_earlier_runs: tuple[str, ...]
    by_timing: tuple[str, ...]
    unknown: tuple[str, ...]

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
            "peak_mb": self.peak_mb,
            "by_earlier_runs": list(self.by_earlier_runs),
            "by_timing": list(self.by_timing),
            "unknown": list(self.unknown),
            "sentence": self.sentence,
        }


def cost_of_earlier(runs: Sequence[Mapping[str, Any]]) -> Cost | None:
    """The cost of a method by its earlier runs: seconds, steps and peak_mb of each; None where there are none."""
    if not runs:
        return None
    stepped = [row["seconds"] / row["steps"] for row in runs if row.get("steps")]
    peaks = [row["peak_mb"] for row in runs if row.get("peak_mb")]
    peak = max(peaks, default=None)
    took = stepped or [row["seconds"] for row in runs]
    usual = statistics.median(took)
    spread = min(MOST_SPREAD, max(LEAST_SPREAD, max(took) / usual, usual / min(took)))
    return Cost(0.0, usual, peak, spread=spread) if stepped else Cost(usual, 0.0, peak, spread=spread)


def time_method(grid: Grid, cell: Cell) -> Cost | None:
    """The cost of a cell's method by one epoch of it; None where its training cannot even begin.

    Timed twice unless the first took long: that one also computes features, which later cells find kept.
    """
    began = time.monotonic()
    found = _timed_once(grid, cell)
    if found is None or time.monotonic() - began > SURELY_WARM_S:
        return found
    return _timed_once(grid, cell)


def _timed_once(grid: Grid, cell: Cell) -> Cost | None:
    image_set, setup = grid.image_sets[cell.image_set], replace(grid.setup(cell), epochs=1, views=1)
    started = time.monotonic()
    try:
        drawn = draw_cell(grid.spec, cell, image_set)
        classes = trained_classes(drawn, setup.method)
        draw = narrowed_draw(drawn.draw, drawn.classes, classes)
        fitted = fit_classifier(
            setup,
            grid.backbone,
            classes,
            draw,
            seed=cell.seed,
            store=grid.store,
            home=grid.home,
            descriptions=grid.texts_of(cell),
        )
    except PromptoscopeError:
        return None  # the cell itself will say why
    spent, steps = time.monotonic() - started, fitted.report.steps
    per_step = fitted.report.seconds / steps if steps else 0.0
    return Cost(max(spent - fitted.report.seconds, 0.0) + _measuring(grid, fitted, image_set), per_step, _peak(), True)


def _measuring(grid: Grid, fitted: Any, image_set: ImageSet) -> float:
    """Seconds that measuring on the whole test part takes, by some of its images."""
    classes = fitted.method.task.classes
    asked = image_set if set(classes) == set(image_set.classes) else image_set.of_classes(classes)
    whole = asked.part("test")
    some = whole[:: max(1, len(whole) // IMAGES_TIMED)][:IMAGES_TIMED]
    started = time.monotonic()
    measure(fitted.method, some, asked.classes, store=grid.store)
    return (time.monotonic() - started) * len(whole) / max(1, len(some))


def planned_steps(spec: ExperimentSpec, cell: Cell, image_set: ImageSet, backbone: str) -> int:
    """Update steps that a cell will make, about; 0 for methods that take none. Raises InvalidOption, NotFound."""
    forced = controlled_options(spec, backbone) if spec.controlled else {}
    config, _ = cell_setup(spec, cell, image_set, forced).config(backbone)
    if not isinstance(config, LoopConfig):
        return 0
    classes = image_set.classes
    if spec.protocol == "base-to-novel":
        classes, _ = halves(classes, spec.base_classes)
    counts = image_set.counts()
    images = sum(counts[name]["train"] for name in classes)
    images = cell.shots * len(classes) if cell.shots is not None else max(1, round(images * (cell.share or 1.0)))
    settled = config.settled(images, len(classes))
    return settled.epochs * steps_per_epoch(images, settled.batch_size, settled.drop_last)


def estimate(
    spec: ExperimentSpec,
    cells: Sequence[Cell],
    image_sets: Mapping[str, ImageSet],
    backbone: str,
    costs: Mapping[str, Cost],
) -> Estimate:
    """What cells will take. costs: by method; of methods without one nothing is said but their names."""
    known = [cell for cell in cells if cell.candidate.method in costs]
    seconds = low = high = 0.0
    for cell in known:
        cost = costs[cell.candidate.method]
        steps = planned_steps(spec, cell, image_sets[cell.image_set], backbone) if cost.per_step_s else 0
        own = cost.fixed_s + cost.per_step_s * steps
        seconds, low, high = seconds + own, low + own / cost.spread, high + own * cost.spread
    methods = list(dict.fromkeys(cell.candidate.method for cell in cells))
    peaks = [peak for cell in known if (peak := costs[cell.candidate.method].peak_mb)]
    return Estimate(
        len(cells),
        round(seconds, 1) if known else None,
        round(low, 1) if known else None,
        round(high, 1) if known else None,
        max(peaks, default=None),
        tuple(name for name in methods if name in costs and not costs[name].timed),
        tuple(name for name in methods if name in costs and costs[name].timed),
        tuple(name for name in methods if name not in costs),
    )


def _peak() -> float:
    return round(peak_memory_mb(), 1)


def duration_text(seconds: float) -> str:
    """A duration for people, such as "40 s", "6 minutes" or "2.5 hours"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
