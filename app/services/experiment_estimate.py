"""What an experiment will take: by earlier runs here, and by a few steps of methods that have not been run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from app.services.experiment_plan import Given, Planned, line_titles, plan
from core.records import experiments as records
from core.tuning.method_cards import baseline_method

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.costs import Cost
    from core.experiments.estimate import Estimate, Machine
    from core.images.image_set import ImageSet
    from training_jobs.cells import Work
    from training_jobs.opened import Opened


def estimate(ctx: Context, given: Given, *, measure: bool = False) -> dict[str, Any]:
    """How long an experiment would take by earlier runs here: {n_cells, seconds, low, high, peak_mb, sentence, ...}.

    measure: have methods that were never run here timed by a few steps, in a process of its own; `measuring` names
    those that are waited for, so that asking again tells more. Nothing is recorded. Raises as `create`.
    """
    from core.backbones.catalogue import find_folder
    from core.experiments.cells import plan_cells
    from core.experiments.estimate import estimate as judge

    planned = plan(ctx, given)
    spec = planned.spec
    backbone, _ = find_folder(spec.backbone, ctx.home, folders=ctx.settings.allow_folders)
    cells = plan_cells(spec, baseline_method())
    methods = list(dict.fromkeys(cell.candidate.method for cell in cells))
    picture_s = ctx.timings.machine(backbone).get("picture_s", {})
    earlier = _earlier(ctx, cells, backbone, _by_content(picture_s, {**planned.targets, **planned.image_sets}))
    costs = ctx.timings.known(backbone, methods) | earlier
    left = [method for method in methods if method not in costs]
    waited = ctx.timings.time(ctx.settings, backbone, left, _as_asked(ctx, planned)) if measure else []
    with _machine(ctx, backbone) as machine:
        found = judge(spec, cells, planned.image_sets, backbone, costs, machine, planned.targets)
    lines = [{"name": name, "title": title} for name, title in line_titles(spec).items()]
    return found.as_dict() | {"lines": lines, "measuring": waited}


@contextmanager
def _machine(ctx: Context, backbone: str) -> Iterator[Machine]:
    """What cells share on this machine, as far as it was measured."""
    from core.experiments.estimate import Machine
    from core.tuning.feature_store import FeatureStore

    known = ctx.timings.machine(backbone)
    if not known:
        yield Machine()
        return
    store = FeatureStore(ctx.home / "cache" / "features.sqlite")
    try:
        yield Machine(**known, kept=store.holds)
    finally:
        store.close()


def _as_asked(ctx: Context, planned: Planned) -> dict[str, Any]:
    return {
        "spec": planned.spec.as_dict(),
        "sources": planned.sources,
        "texts": planned.texts,
        "folders": ctx.settings.allow_folders,
    }


def measured_estimate(ctx: Context, opened: Opened, work: Work) -> Estimate:
    """What is left to compute, judged by earlier runs, and by timing what they do not tell."""
    from core.experiments.estimate import estimate as judge
    from core.experiments.timing import time_machine, time_method

    left, grid = work.waiting(), opened.grid
    backbone = grid.backbone.name
    # what is measured here is done: the search is not repeated
    machine = replace(time_machine(grid), search_s={})
    costs = _earlier(ctx, left, backbone, _by_content(machine.picture_s, {**grid.targets, **grid.image_sets}))
    for method in dict.fromkeys(cell.candidate.method for cell in left):
        if method not in costs:
            timed = time_method(grid, [cell for cell in left if cell.candidate.method == method])
            costs |= {} if timed is None else {method: timed}
    return judge(opened.spec, left, grid.image_sets, backbone, costs, machine, grid.targets)


def _earlier(ctx: Context, cells: Sequence[Cell], backbone: str, picture_s: Mapping[str, float]) -> dict[str, Cost]:
    """What the methods of these cells took here before, as it would be now. picture_s: of a picture now, by content."""
    from core.experiments.costs import EarlierPass, at_present_pace, cost_of_earlier

    methods = dict.fromkeys(cell.candidate.method for cell in cells)
    with ctx.db.reading() as session:
        passes = [EarlierPass(**each) for each in records.earlier_passes(session, backbone)]
        runs = {name: records.earlier_costs(session, name, backbone) for name in methods}
    found = {name: cost_of_earlier(at_present_pace(own, passes, picture_s)) for name, own in runs.items()}
    return {name: cost for name, cost in found.items() if cost is not None}


def _by_content(picture_s: Mapping[str, float], image_sets: Mapping[str, ImageSet]) -> dict[str, float]:
    return {image_sets[name].fingerprint: seconds for name, seconds in picture_s.items() if name in image_sets}
