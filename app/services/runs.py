"""Runs: what trainings gave, and an honest comparison of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.services.context import Context
from app.services.image_sets import ALL
from app.services.methods import method_title
from core.evaluation.comparison import compare_runs
from core.records import image_sets
from core.records import runs as records


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
    return compare_runs(chosen)


def _titled(row: dict[str, Any]) -> dict[str, Any]:
    # comparison groups by the image set's fingerprint, under this shorter name
    return row | {"method_title": method_title(row["method"]), "fingerprint": row["image_set_fingerprint"]}
