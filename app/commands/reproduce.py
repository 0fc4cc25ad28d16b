"""`experiment reproduce`: a published table on the image sets that are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from app.commands.experiment import say_what_failed, show_cells
from app.commands.home import opened
from app.commands.output import FAILED, JsonFlag, command, output
from core.errors import InvalidInput


@command
def reproduce(
    table: Annotated[
        str | None, typer.Argument(metavar="PAPER/TABLE", help="A published table; none: list them.")
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(help="A set added with --as, its folder, or a folder that holds several; may be repeated."),
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method of the table; may be repeated.")] = None,
    shots: Annotated[list[int] | None, typer.Option(min=1, help="Only this number of shots; may be repeated.")] = None,
    seeds: Annotated[
        list[int] | None, typer.Option(min=0, help="A seed in place of the table's; may be repeated.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="Name or folder; another than the published one is a deviation.")] = (
        "biomedclip"
    ),
    json: JsonFlag = False,
) -> None:
    """Run a published table on the image sets that are here, and print measured beside published.

    Each set is trained by the recipe that was published for it. A difference stands only where every set of the table
    was measured. Stopped in any way, the same command goes on where it was.
    """
    from app.services import reproduction

    with output(json) as out, opened() as ctx:
        if table is None:
            out.table(reproduction.list_tables(), ("name", "title", "protocol", "source"), "There are none.")
            return
        if not images:
            raise InvalidInput("Image sets to run the table on", "found none", "Give --images, once a set.")
        planned = reproduction.plan_table(
            ctx,
            table,
            images,
            methods=method or (),
            shots=shots or (),
            seeds=seeds or (),
            backbone=backbone,
        )
        failed: list[Mapping[str, Any]] = []

        def show(cells: list[dict[str, Any]]) -> None:
            failed.extend(cell for cell in cells if cell["state"] == "failed")
            if not json:
                show_cells(out, cells)

        reproduction.run_table(ctx, planned, show)
        rows = reproduction.table_rows(ctx, planned)
        columns = ("method", "shots", "part", "measured", "published", "difference", "n_sets", "of_sets", "n_seeds")
        out.table(rows, columns, "Nothing was measured.")
        out.note(f"{planned.table.title}, from {planned.table.source}. Accuracy in percent, means over image sets.")
        for note in planned.table.notes:
            out.note(note)
        if not json:
            for text, methods in _deviations(rows).items():
                out.note(f"Deviates from the recipe ({', '.join(methods)}): {text}")
            if rows and not all(row["complete"] for row in rows):
                out.note("Not every image set of the table is here: a mean over fewer is not the published number.")
        if failed:
            say_what_failed(out, failed)
            raise typer.Exit(FAILED)


def _deviations(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The methods that deviated, by how."""
    told: dict[str, dict[str, None]] = {}
    for row in rows:
        for text in row["deviations"]:
            told.setdefault(text, {})[row["method"]] = None
    return {text: list(methods) for text, methods in told.items()}


COMMANDS = (reproduce,)
