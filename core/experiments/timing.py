"""Timing on this machine before an experiment: a few warm steps of a method, pictures through the tower, a search."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.errors import PromptoscopeError
from core.experiments.cells import Cell, in_step
from core.experiments.costs import Cost, images_per_step
from core.experiments.estimate import Machine, planned_images
from core.experiments.grid import Grid
from core.experiments.protocols import draw_cell, trained_classes
from core.images.image_set import ImageSet
from core.images.protocol_draws import narrowed_draw
from core.peak_memory import peak_memory_mb
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features, tower_facts
from core.tuning.fitting import Fitted, Seeded, fit_classifiers
from core.tuning.flops import gflops_per_image
from core.tuning.loop import shares_steps
from core.tuning.measure import Measurement, measure
from core.tuning.progress import Progress

PASSES_TIMED, PICTURES_PER_PASS = 4, 16
"""Passes of test images through the image tower, the first of which only warms up. Features are kept, so that what is
there is computed again, but nothing twice that is not."""
LONGEST_TIMED_S = 8.0
"""After which no further pass of pictures begins, but for the second."""
IMAGES_SCORED = 32
"""Test images on which scoring by a method is timed."""
MOST_IMAGES_TIMED = 128
"""Of training images of the cell on which a method is timed, where there is one with so few."""
STEPS_TIMED_S = 1.5
FEWEST_EPOCHS, MOST_EPOCHS = 3, 50
SURELY_WARM_S = 10.0
"""An epoch that takes longer is hardly longer for being the first: it is not repeated."""


def time_machine(grid: Grid) -> Machine:
    """What the cells share: a picture through the tower, and the search for leakage, which is then done."""
    picture_s, search_s = {}, {}
    for name, image_set in (*grid.targets.items(), *grid.image_sets.items()):
        if (seconds := _picture_seconds(grid, image_set)) is not None:
            picture_s[name] = seconds
    for name, image_set in grid.image_sets.items():
        started = time.monotonic()
        try:
            grid.search(image_set)
        except PromptoscopeError:
            continue  # its cells will say why
        search_s[name] = time.monotonic() - started
    return Machine(0.0, picture_s, search_s, tower_facts(grid.backbone), grid.store.holds)


def _picture_seconds(grid: Grid, image_set: ImageSet) -> float | None:
    """Seconds of one picture now, whether its features are kept or not: the median of passes after a warm one; None
    without test images.
    """
    images = image_set.part("test")
    passes: list[float] = []
    if not images:
        return None
    started = time.monotonic()
    while len(passes) < PASSES_TIMED and (len(passes) < 2 or time.monotonic() - started < LONGEST_TIMED_S):
        at = len(passes) * PICTURES_PER_PASS
        some = [images[(at + each) % len(images)] for each in range(min(PICTURES_PER_PASS, len(images)))]
        afresh = FeatureStore()
        image_features(grid.backbone, some, afresh)
        passes.append(afresh.computed.seconds / afresh.computed.pictures)
        grid.store.put(afresh.everything())
        afresh.close()
    return statistics.median(passes[1:])


def time_method(grid: Grid, cells: Sequence[Cell]) -> Cost | None:
    """The cost of a method by a few warm steps of one of its cells, and of those in step with it.

    cells: of the method. None where its training cannot even begin.
    """
    together = _typical(grid, cells)
    try:
        return _time(grid, together)
    except PromptoscopeError:
        return None  # the cell itself will say why


def _typical(grid: Grid, cells: Sequence[Cell]) -> list[Cell]:
    """The cells in step with the most training images that are still few, or with the fewest where none are few."""
    groups = list(in_step(cells))
    sizes = [planned_images(grid.spec, own[0], grid.image_sets[own[0].image_set]) for own in groups]
    few = [size for size in sizes if size <= MOST_IMAGES_TIMED]
    return groups[sizes.index(max(few) if few else min(sizes))]


def _time(grid: Grid, together: Sequence[Cell]) -> Cost:
    first = together[0]
    fitted, took, epochs = _fit(grid, [first], 1)
    steps = fitted.report.steps
    if not steps:
        took = took if took > SURELY_WARM_S else _fit(grid, [first], 1)[1]
        return Cost(took + _measuring(grid, first, fitted), 0.0, _peak(), timed=True)
    epoch_s = fitted.report.seconds
    if epoch_s <= SURELY_WARM_S:
        planned = grid.setup(first).config(grid.backbone.name)[0].as_dict()["epochs"]
        rounds = max(FEWEST_EPOCHS, min(MOST_EPOCHS, planned, round(STEPS_TIMED_S / max(epoch_s, 0.01))))
        fitted, took, epochs = _fit(grid, [first], rounds)
        epoch_s = _usual_epoch(epochs)
        took -= epochs[-1] - epochs[0]
    more, config = 1.0, fitted.method.config
    if len(together) > 1 and shares_steps(type(fitted.method), config) and fitted.report.seconds <= SURELY_WARM_S:
        _fit(grid, together, 1)  # for the features of the others
        _, _, epochs = _fit(grid, together, FEWEST_EPOCHS)
        more = min(1.0, max(0.0, (_usual_epoch(epochs) / epoch_s - 1) / (len(together) - 1)))
    if type(fitted.method).image_path(config) == "trained":
        took *= grid.setup(first).config(grid.backbone.name)[0].as_dict()["views"]  # each passes the tower by itself
    images = len(fitted.draw.train)
    return Cost(
        max(0.0, took - epoch_s) + _measuring(grid, first, fitted),
        epoch_s / steps,
        _peak(),
        more,
        len(fitted.method.task.classes),
        images_per_step(config, images),
        timed=True,
    )


def _usual_epoch(ended: Sequence[float]) -> float:
    """Seconds of an epoch by when each ended: the median, since a machine with other work stands still now and then."""
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(ended))


def _fit(grid: Grid, together: Sequence[Cell], epochs: int) -> tuple[Fitted, float, list[float]]:
    """The first of cells fitted in step for a few epochs, seconds it took without features, and when epochs ended."""
    first, ended = together[0], []

    def listen(progress: Progress) -> None:
        if progress.epoch is not None and progress.stage == "training":
            ended.append(time.monotonic())

    setup = grid.setup(first)
    options = {name: value for name, value in setup.options.items() if name != "updates"}
    setup = replace(setup, epochs=epochs, views=1, options=options)
    seeded = []
    for cell in together:
        drawn = draw_cell(grid.spec, cell, grid.image_sets[cell.image_set])
        classes = trained_classes(drawn, setup.method)
        draw = narrowed_draw(drawn.draw, drawn.classes, classes)
        seeded.append(Seeded(draw, cell.seed, listen if cell is first else lambda _: None))
    started, before = time.monotonic(), grid.store.computed
    fitted = fit_classifiers(
        setup, grid.backbone, classes, seeded, store=grid.store, home=grid.home, descriptions=grid.texts_of(first)
    )[0]
    took = time.monotonic() - started - (grid.store.computed - before).seconds
    return fitted, took, ended


def _measuring(grid: Grid, cell: Cell, fitted: Fitted) -> float:
    """Seconds that scoring and measuring the whole test part takes, features being kept, by some of its images."""
    image_set, classes = grid.image_sets[cell.image_set], fitted.method.task.classes
    asked = image_set if set(classes) == set(image_set.classes) else image_set.of_classes(classes)
    whole = asked.part("test")
    some = whole[:: max(1, len(whole) // IMAGES_SCORED)][:IMAGES_SCORED]
    started, before = time.monotonic(), grid.store.computed
    found = measure(fitted.method, some, asked.classes, store=grid.store)
    scoring = time.monotonic() - started - (grid.store.computed - before).seconds
    times = -(-len(whole) // max(1, len(some)))
    started = time.monotonic()
    _all_numbers(replace(found, images=found.images * times, logits=found.logits.repeat(times, axis=0)))
    gflops_per_image(fitted.method)
    return scoring * times + time.monotonic() - started


def _all_numbers(found: Measurement) -> Any:
    """Everything that is recorded of a measurement, twice as `Grid` asks for it: the ranked part and the card."""
    return [(found.metrics(), found.confusion(), found.per_class(), found.intervals(), found.rows()) for _ in range(2)]


def _peak() -> float:
    return round(peak_memory_mb(), 1)
