"""`published`: numbers that others have printed, to stand beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import LARGEST_NUMBER, JsonFlag, command, output

app = typer.Typer(
    help="Published numbers: imported, tied to an image set here, and shown beside ours.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(help="An id from `published list`.")]


@app.command("import")
@command
def import_(
    file: Annotated[
        Path | None, typer.Argument(help="CSV or TOML; without one the few numbers that come with Promptoscope.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Keep the published numbers of a file; one that is known already stays as it is."""
    from app.services import published

    with output(json) as out, opened() as ctx:
        done = published.import_shipped(ctx) if file is None else published.import_file(ctx, file)
        known = f" {done['known']} were known already." if done["known"] else ""
        out.row(done, f"Kept {done['added']} published numbers.{known}")


@app.command("list")
@command
def list_(
    method: Annotated[str | None, typer.Option(help="Only those of one method.")] = None,
    data_set: Annotated[
        str | None, typer.Option(help="Only those on one data set, as its publication names it.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List published numbers with their owners and where they stand."""
    from app.services.published import list_results

    with output(json) as out, opened() as ctx:
        rows = list_results(ctx, method, data_set)
        shown = rows if json else [_short(row) for row in rows]
        columns = ("id", "method", "data_set", "part", "shots", "seeds", "percent", "n_test", "whose", "here")
        out.table(shown, columns, "There are none; `published import` brings those that come with Promptoscope.")
        for row in rows:
            if row["h_is"]:
                out.text(f"{row['method']} on {row['data_set']}: {row['h_is']} ({row['source']}, {row['place']}).")


@app.command("match")
@command
def match_(
    id: Id,
    images: Annotated[str, typer.Option(help="Name or id of the image set it is of.")],
    test_images: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST_NUMBER, help="If it was measured on other test images of that data set: on how many."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Say that a published number is of an image set here; by default of exactly its test part."""
    from app.services.published import match

    with output(json) as out, opened() as ctx:
        found = match(ctx, id, images, test_images)
        how = "exactly its test part" if test_images is None else "other test images of it"
        out.row(found, f"{_percent(found)} of {found['data_set']} is of '{found['image_set']}', {how}.")


@app.command()
@command
def delete(id: Id, json: JsonFlag = False) -> None:
    """Forget a published number."""
    from app.services import published

    with output(json) as out, opened() as ctx:
        done = published.delete(ctx, id)
        out.row(done, f"Deleted {done['deleted']}.")


def _short(row: dict[str, Any]) -> dict[str, Any]:
    whose = "authors" if row["whose"] == "authors" else f"re-run by {row['run_by']}"
    shots = "all" if row["shots"] is None else row["shots"]
    return row | {"percent": _percent(row), "whose": whose, "shots": shots, "here": row["image_set"]}


def _percent(row: dict[str, Any]) -> str:
    return f"{100 * row['value']:.{max(1, row['decimals'])}f} %"
