"""`bundle`: an experiment as one file, and repeated from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import opened
from app.commands.output import DISCLAIMER, FAILED, JsonFlag, Output, check_file, command, output

app = typer.Typer(help="An experiment as one file that gives it again.", no_args_is_help=True)


@app.command()
@command
def export(
    name: Annotated[str, typer.Argument(help="An experiment (name or id), a run (id) or a model (name or id).")],
    out: Annotated[Path, typer.Option(help="The file, such as study.zip; an old one is replaced.")],
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Let the images leave with it: it is then patient data.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Write settings, splits and hashes of images, sentences, environment and answers as one file.

    Images and file names stay here unless asked for. Names of groups (patients) are in it as they were given.
    """
    from app.services.bundles import export_bundle

    with output(json) as lines, opened() as ctx:
        check_file(out)
        found = export_bundle(ctx, name, out, with_images=with_images)
        lines.row(found, f"{found['bundle']}: {found['cells']} cells, {found['images']} images by their hash.")
        lines.note(
            "The images are in it: it is patient data."
            if with_images
            else "No image is in it; names of groups (patients) are, where the set has them."
        )
        lines.text(DISCLAIMER)


@app.command()
@command
def repeat(
    file: Annotated[Path, typer.Argument(help="A file of `bundle export`.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="A folder, zip, table or .npz that holds its images; may be given several times."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Where the same backbone lies here, if it has another name or folder.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Largest difference of a probability that still counts as repeated; 0.01."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train everything in a bundle again and compare each answer; exit code 1 if one is too far off.

    Images are taken from the bundle, from --images or from this home, and each is checked by its hash. Nothing that was
    computed before is used, and nothing is recorded.
    """
    from app.services.bundles import repeat_bundle

    with output(json) as lines, opened() as ctx:
        found = repeat_bundle(
            ctx, file, images or (), backbone=backbone, tolerance=tolerance, done=lambda cell: _show(lines, cell)
        )
        told = ", ".join(f"{found[word]} {word.replace('_', ' ')}" for word in ("identical", "within_tolerance"))
        known = "unknown" if found["largest"] is None else f"{found['largest']:.2g}"
        lines.row(
            {"kind": "summary", **found},
            f"{found['name']}: {found['cells']} cells: {told}, {found['different']} different, {found['failed']} "
            f"failed. Largest difference of a probability: {known} (tolerance {found['tolerance']}).",
        )
        if found["changed_environment"]:
            lines.text(f"Not as where it was exported: {'; '.join(found['changed_environment'])}.")
        lines.text(DISCLAIMER)
        if found["different"] or found["failed"]:
            raise typer.Exit(FAILED)


def _show(lines: Output, cell: object) -> None:
    from core.experiments.repeat import Repeated

    assert isinstance(cell, Repeated)
    far = (
        cell.why
        if cell.largest is None
        else f"largest difference {cell.largest:.2g}, {cell.changed} of {cell.n} changed"
    )
    lines.row({"kind": "cell", **cell.as_dict()}, f"{cell.cell.label}: {cell.verdict}, {far}")
