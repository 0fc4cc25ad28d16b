"""`backbones`: dual encoders, listed, fetched and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import settings
from app.commands.output import FAILED, JsonFlag, command, output

app = typer.Typer(help="Dual encoders that methods are trained on.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A name from `backbones list`, hf-hub:OWNER/NAME or local-dir:FOLDER.")]


@app.command("list")
@command
def list_(json: JsonFlag = False) -> None:
    """List backbones and say which are on this machine."""
    from core.backbones.catalogue import list_backbones

    with output(json) as out:
        out.table(list_backbones(settings().home), ("name", "title", "available", "licence"), "There are no backbones.")


@app.command()
@command
def fetch(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with the publisher's files, for no network."),
    ] = None,
    again: Annotated[bool, typer.Option(help="Fetch anew even if it is here.")] = False,
    json: JsonFlag = False,
) -> None:
    """Fetch a backbone once into the home folder; afterwards it works without network."""
    from core.backbones.fetch import fetch_backbone

    with output(json) as out:
        folder = fetch_backbone(name, settings().home, source, again=again, say=out.note)
        out.row({"name": name, "path": str(folder)}, f"'{name}' is in {folder}.")


@app.command()
@command
def check(name: Name = "embedded", json: JsonFlag = False) -> None:
    """Check a backbone's files, checksum, tokenizer and towers: one row a check, up to the first that fails."""
    from core.backbones.catalogue import FOLDER_PREFIX, find_folder
    from core.backbones.check import check_backbone
    from core.errors import NotFound, Unavailable

    with output(json) as out:
        try:
            find_folder(name, settings().home)
        except Unavailable:
            pass  # known but not fetched: a finding of the check
        except NotFound:
            if not Path(name.removeprefix(FOLDER_PREFIX)).is_dir():
                raise  # wrong use; a folder that is there and holds no backbone is a finding again
        rows = check_backbone(name, settings().home)
        for row in rows:
            fix = f"  -> {row['fix']}" if row["fix"] else ""
            out.row(row, f"{row['status']}  {row['check']}: {row['message']}{fix}")
        if any(row["status"] == "fail" for row in rows):
            raise typer.Exit(FAILED)
