"""What an experiment will take: by earlier runs here, and by a few steps of methods that have not been run here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    earlier = _earlier(ctx, cells, backbone)
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
    costs = _earlier(ctx, left, backbone)
    # what is measured here is done: the search is not repeated
    machine = replace(time_machine(grid), search_s={})
    for method in dict.fromkeys(cell.candidate.method for cell in left):
        if method not in costs:
            timed = time_method(grid, [cell for cell in left if cell.candidate.method == method])
            costs |= {} if timed is None else {method: timed}
    return judge(opened.spec, left, grid.image_sets, backbone, costs, machine, grid.targets)


def _earlier(ctx: Context, cells: Sequence[Cell], backbone: str) -> dict[str, Cost]:
    """What the methods of these cells took here before."""
    from core.experiments.costs import cost_of_earlier

    methods = dict.fromkeys(cell.candidate.method for cell in cells)
    with ctx.db.reading() as session:
        found = {name: cost_of_earlier(records.earlier_costs(session, name, backbone)) for name in methods}
    return {name: cost for name, cost in found.items() if cost is not None}
