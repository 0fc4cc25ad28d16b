"""`compare`: runs side by side, like with like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import DISCLAIMER, JsonFlag, check_file, command, output

NOTHING: dict[str, Any] = {"groups": [], "notes": ["There are no runs to compare."]}
COLUMNS = ("method", "n_seeds", "mean", "low", "high", "interval", "n_test")


@command
def compare(
    names: Annotated[list[str], typer.Argument(help="Image sets (name or id) or runs (id).")],
    out_path: Annotated[
        Path | None, typer.Option("--out", help="Also write the comparison as one HTML file; an old one is replaced.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compare finished runs. Each row is one method with its options; groups are never mixed."""
    from app.services.runs import compare as comparison

    with output(json) as out, opened() as ctx:
        if out_path is not None:
            check_file(out_path)
        runs = [run for name in names for run in _run_ids(ctx, name)]
        found: dict[str, Any] = comparison(ctx, run_ids=runs, detailed=out_path is not None) if runs else NOTHING
        for group in found["groups"]:
            facts = {key: value for key, value in group.items() if key not in ("rows", "notes", "details")}
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
        if out_path is not None:
            _write(out_path, found)
            out.row({"report": str(out_path)}, f"Report: {out_path}")
        out.text(DISCLAIMER)


def _write(out_path: Path, found: dict[str, Any]) -> None:
    import platform
    from importlib.metadata import version

    from core.evaluation.report_page import report_page

    versions = {"Python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy")}
    out_path.write_text(report_page(found, versions), encoding="utf-8")


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
