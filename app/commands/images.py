"""`images`: image sets of the home folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import opened
from app.commands.output import FAILED, JsonFlag, Output, command, output
from core.errors import InvalidOption

GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COLUMN|none",
        help="Column of the table that tells patients apart, or none; recognised by its name if not given.",
    ),
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Column of the table that names the classes.")
]

app = typer.Typer(help="Image sets: added, listed, checked and exported.", no_args_is_help=True)


@app.command()
@command
def add(
    path: Annotated[Path, typer.Argument(help="Folder, zip, CSV manifest, split_*.json or .npz.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the new set; of a published one its own if left out.")
    ] = None,
    published: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Published set that it is; see `promptoscope images benchmarks`."),
    ] = None,
    modality: Annotated[str | None, typer.Option(help="What the pictures are, such as 'breast ultrasound'.")] = None,
    group: GroupOption = None,
    label: LabelOption = None,
    json: JsonFlag = False,
) -> None:
    """Copy images into the home folder as a named set; with --as as the papers read it."""
    from app.services.image_sets import list_problems
    from app.services.incoming_images import add_from_path
    from core.images.benchmarks import get_benchmark
    from core.images.columns import ColumnChoice
    from core.images.signature_store import kept_signatures

    with output(json) as out, opened() as ctx, kept_signatures(ctx.settings.signatures_path):
        _require(path)
        title = get_benchmark(published).title if published else None
        if not (called := name or title):
            raise InvalidOption("A name for the new set", "found none", "Give --name NAME, or --as a published set.")
        found = add_from_path(ctx, path, called, modality, ColumnChoice(group, label), published=published)
        found["problems"] = list_problems(ctx, found["id"])
        out.row(found, f"Added '{found['name']}': {found['n_images']} images in {len(found['classes'])} classes.")
        _show_counts(out, found["classes"])
        for note in found["notes"]:
            out.text(note)
        _warn(out, found["problems"])


@app.command("benchmarks")
@command
def benchmarks_(
    name: Annotated[str | None, typer.Argument(help="One of them, with the files that are expected.")] = None,
    json: JsonFlag = False,
) -> None:
    """List the published image sets that `images add PATH --as NAME` knows, and where each is to be had."""
    from core.images.benchmarks import benchmarks, get_benchmark

    with output(json) as out:
        if name is None:
            rows = [each.as_dict() for each in benchmarks().values()]
            out.table(rows, ("name", "title", "modality", "n_classes", "layout", "licence"), "")
            return
        one = get_benchmark(name)
        numbers = ", ".join(f"{number:,} {part}" for part, number in one.as_dict()["images"].items())
        out.row(one.as_dict(), f"{one.title} ({one.modality}): {numbers}")
        out.text(f"Classes in label order: {'; '.join(one.classes)}")
        out.text(f"Used by {', '.join(one.used_by)}. From {one.source}.")
        out.text(f"Licence: {one.licence or 'not said plainly at the source: read its terms before use'}.")
        for note in one.notes:
            out.text(note)
        out.text(f"Expected files:\n{one.tree}")


@app.command("list")
@command
def list_(json: JsonFlag = False) -> None:
    """List image sets."""
    from app.services.image_sets import list_image_sets

    with output(json) as out, opened() as ctx:
        out.table(
            list_image_sets(ctx),
            ("name", "n_images", "modality", "source", "created_at"),
            "There are no image sets yet. Add one with `promptoscope images add PATH --name NAME`.",
        )


@app.command()
@command
def check(
    path_or_name: Annotated[str, typer.Argument(help="A path, or the name of a stored set.")],
    group: GroupOption = None,
    label: LabelOption = None,
    json: JsonFlag = False,
) -> None:
    """List every problem, then a summary. Exit code 1 if nothing usable remains or parts leak into each other."""
    from app.services.incoming_images import check_image_set
    from core.images.columns import ColumnChoice

    choice = ColumnChoice(group, label)
    with output(json) as out:
        if os.path.exists(path_or_name):
            found = check_image_set(None, path_or_name, choice)
        else:
            with opened() as ctx:
                found = check_image_set(ctx, path_or_name, choice)
        for problem in found["problems"]:
            out.row(problem, f"{problem['file']}: {problem['problem']}. {problem['expected']}; {problem['found']}.")
        for note in found["summary"]["notes"]:
            out.text(note)
        out.row(found["summary"], _sentence(found["summary"]))
        if not found["summary"]["ok"]:
            raise typer.Exit(FAILED)


@app.command()
@command
def export(
    name: Annotated[str, typer.Argument(help="Name or id of a stored set.")],
    out_path: Annotated[Path, typer.Option("--out", help="A new folder, or a file ending in .zip.")],
    json: JsonFlag = False,
) -> None:
    """Write a set as <part>/<class>/<file>."""
    from app.services.image_sets import export_image_set

    with output(json) as out, opened() as ctx:
        done = export_image_set(ctx, name, out_path)
        out.row(done, f"Wrote {done['n_images']} images to {done['path']}.")


def _require(path: Path) -> None:
    from core.errors import NotFound

    if not path.exists():
        raise NotFound("A file or folder of images", f"there is none at '{path}'", "Check the path.")


def _show_counts(out: Output, classes: list[dict]) -> None:
    for row in classes:
        out.text(f"  {row['name']}: {row['train']} train, {row['val']} val, {row['test']} test")


def _warn(out: Output, problems: list[dict]) -> None:
    for problem in problems:
        out.note(f"refused {problem['file']}: {problem['expected']}; {problem['found']}")


def _sentence(summary: dict) -> str:
    state = "Usable" if summary["ok"] else "Not usable as it is"
    return (
        f"{state}: {summary['usable']} images in {len(summary['classes'])} classes ({summary['train']} train, "
        f"{summary['val']} val, {summary['test']} test), {summary['problems']} problems, {summary['leaks']} leaks, "
        f"{summary['findings']} pictures to look at."
    )
