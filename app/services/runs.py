"""Runs: what trainings gave, and an honest comparison of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.services.context import Context
from app.services.image_sets import ALL
from app.services.methods import method_title
from core.evaluation.claims import Answer
from core.evaluation.comparison import compare_runs
from core.records import image_sets
from core.records import runs as records

MOST_ANSWERS = 400_000
"""Predictions read to test what is said of one group of runs."""


def list_runs(ctx: Context, image_set_id: str | None = None) -> list[dict[str, Any]]:
    """Runs, newest first; all, or those on one image set (id or name)."""
    with ctx.db.reading() as session:
        found = None if image_set_id is None else image_sets.find_image_set(session, str(image_set_id)).id
        return [_titled(row) for row in records.list_runs(session, found, limit=ALL)]


def get_run(ctx: Context, id: str) -> dict[str, Any]:
    """One run with its epoch metrics. Raises NotFound."""
    with ctx.db.reading() as session:
        return _titled(records.run_dict(session, str(id)))


def compare(ctx: Context, image_set_id: str | None = None, run_ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs in groups of like with like: {groups: [{image_set, fingerprint, backbone, shots, rows}], notes}.

    Of all runs, those of one image set, or the given ones. Raises NotFound.
    """
    chosen = [get_run(ctx, id) for id in run_ids] if run_ids else list_runs(ctx, image_set_id)
    return compare_runs(chosen, lambda run_ids: _answers(ctx, run_ids))


def _answers(ctx: Context, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Answer]] | None:
    """What runs said of each test image; None where that would be too much for one page."""
    with ctx.db.reading() as session:
        if records.count_predictions(session, run_ids) > MOST_ANSWERS:
            return None
        rows = records.list_answers(session, run_ids)
    found: dict[str, dict[str, Answer]] = {}
    for run_id, file, label, predicted, group in rows:
        # units of two kinds never share a name
        unit = f"image {file}" if group is None else f"group {group}"
        found.setdefault(run_id, {})[file] = Answer(label, predicted, unit)
    return found


def _titled(row: dict[str, Any]) -> dict[str, Any]:
    # comparison groups by the image set's fingerprint, under this shorter name
    return row | {"method_title": method_title(row["method"]), "fingerprint": row["image_set_fingerprint"]}
