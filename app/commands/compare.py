"""`compare`: runs side by side, like with like."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import DISCLAIMER, JsonFlag, command, output

NOTHING: dict[str, Any] = {"groups": [], "notes": ["There are no runs to compare."]}
COLUMNS = ("method", "n_seeds", "mean", "low", "high", "interval", "n_test")


@command
def compare(
    names: Annotated[list[str], typer.Argument(help="Image sets (name or id) or runs (id).")],
    json: JsonFlag = False,
) -> None:
    """Compare finished runs. Each row is one method with its options; groups are never mixed."""
    from app.services.runs import compare as comparison

    with output(json) as out, opened() as ctx:
        runs = [run for name in names for run in _run_ids(ctx, name)]
        found: dict[str, Any] = comparison(ctx, run_ids=runs) if runs else NOTHING
        for group in found["groups"]:
            facts = {key: value for key, value in group.items() if key not in ("rows", "notes")}
            out.text(f"{group['image_set']['name']}, {group['backbone']}, {_shots(group['shots'])}")
            out.table([facts | row for row in group["rows"]], COLUMNS, "No rows.")
            for row in group["rows"]:
                for each in row.get("published", []):
                    out.text(f"{row['method_title']}: {each['sentence']}")
            for note in [group["verdict"]["sentence"], *group["warnings"], *group["notes"]]:
                if note:
                    out.text(note)
            out.text()
        for note in found["notes"]:
            out.note(note)
        out.text(DISCLAIMER)


def _run_ids(ctx: Any, name: str) -> list[str]:
    """The run of this id, or all runs of the image set of this name. Raises NotFound."""
    from app.services.runs import get_run, list_runs
    from core.errors import NotFound

    try:
        return [get_run(ctx, name)["id"]]
    except NotFound:
        return [run["id"] for run in list_runs(ctx, name)]


def _shots(shots: int | None) -> str:
    return "all training images" if shots is None else f"{shots} shots"


COMMANDS = (compare,)
