"""`report`: a study beside what a reporting guideline asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import opened
from app.commands.output import DISCLAIMER, JsonFlag, check_file, command, output


@command
def report(
    name: Annotated[str, typer.Argument(help="An experiment (name or id), a run (id) or a model (name or id).")],
    out: Annotated[Path, typer.Option(help="The HTML file; tables get its name too. Old files are replaced.")],
    standard: Annotated[str, typer.Option(help="claim, tripod-ai or stard-ai.")] = "claim",
    with_images: Annotated[
        bool,
        typer.Option("--with-images", help="Small copies of images and their file names too: it is then patient data."),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Write a report as one HTML file: a guideline's items, filled from the records as far as they go.

    Beside it lie its tables as CSV and LaTeX. What only a person can say stands as a blank that says what is missing.
    """
    from app.services.reports import write_report

    with output(json) as out_stream, opened() as ctx:
        check_file(out)
        found = write_report(ctx, name, standard, out, with_images=with_images)
        out_stream.row(found, f"{found['report']}: {found['sentence']}")
        out_stream.text(f"Tables: {', '.join(found['tables'])}")
        if with_images:
            out_stream.note("The report holds small copies of images: share it as you would share them.")
        out_stream.text(DISCLAIMER)


COMMANDS = (report,)
