"""What an experiment will take: by earlier runs here, and by a few steps of methods that have not been run here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from app.services.experiment_plan import Given, Planned, line_titles, plan
from core.records import experiments as records
from core.tuning.method_cards import baseline_method

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.estimate import Cost, Estimate
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
    backbone, _ = find_folder(planned.spec.backbone, ctx.home, folders=ctx.settings.allow_folders)
    cells = plan_cells(planned.spec, baseline_method())
    methods = list(dict.fromkeys(cell.candidate.method for cell in cells))
    earlier = _earlier(ctx, cells, backbone)
    costs = ctx.timings.known(backbone, methods) | earlier
    left = [method for method in methods if method not in costs]
    waited = ctx.timings.time(ctx.settings, backbone, left, _as_asked(ctx, planned)) if measure and left else []
    found = judge(planned.spec, cells, planned.image_sets, backbone, costs)
    lines = [{"name": name, "title": title} for name, title in line_titles(planned.spec).items()]
    return found.as_dict() | {"lines": lines, "measuring": waited}


def _as_asked(ctx: Context, planned: Planned) -> dict[str, Any]:
    return {
        "spec": planned.spec.as_dict(),
        "sources": planned.sources,
        "texts": planned.texts,
        "folders": ctx.settings.allow_folders,
    }


def measured_estimate(ctx: Context, opened: Opened, work: Work) -> Estimate:
    from core.experiments.estimate import estimate as judge
    from core.experiments.estimate import time_method

    left = work.waiting()
    backbone = opened.grid.backbone.name
    costs = _earlier(ctx, left, backbone)
    for cell in left:
        method = cell.candidate.method
        if method not in costs and (timed := time_method(opened.grid, cell)) is not None:
            costs[method] = timed
    return judge(opened.spec, left, opened.grid.image_sets, backbone, costs)


def _earlier(ctx: Context, cells: Sequence[Cell], backbone: str) -> dict[str, Cost]:
    """What the methods of these cells took here before."""
    from core.experiments.estimate import cost_of_earlier

    methods = dict.fromkeys(cell.candidate.method for cell in cells)
    with ctx.db.reading() as session:
        found = {name: cost_of_earlier(records.earlier_costs(session, name, backbone)) for name in methods}
    return {name: cost for name, cost in found.items() if cost is not None}
