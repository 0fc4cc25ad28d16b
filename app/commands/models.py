"""`model`: trained models taken elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, command, output

app = typer.Typer(help="Take a trained model elsewhere.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keeps `export` a word of its own."""


@app.command()
@command
def export(
    name: Annotated[str, typer.Argument(help="A model folder, or the name or id of a stored model.")],
    space: Annotated[Path, typer.Option(help="A new folder; it gets all that a Gradio Space needs.")],
    json: JsonFlag = False,
) -> None:
    """Write a self-contained folder that serves this model: sources, weights, card and pinned packages.

    Nothing is sent anywhere. Read its README.md before you publish it.
    """
    from app.services.space import export_space

    with output(json) as out:
        row = export_space(find_folder(name), space, settings().home)
        out.row(row, f"{row['space']}: {row['files']} files, {row['megabytes']} MB")
        out.text(f"Weights of the backbone: {row['licence']} ({row['licence_class']}).")
        out.text("Start it: pip install -r requirements.txt, then python main.py. Read README.md before publishing.")
        out.text(DISCLAIMER)
