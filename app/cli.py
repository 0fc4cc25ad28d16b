"""`promptoscope`: the site, the engine and the records from a terminal."""

from __future__ import annotations

import os

import typer

from app.commands import (
    backbones,
    compare,
    database,
    descriptions,
    doctor,
    explain,
    images,
    jobs,
    methods,
    predict,
    recipes,
    serve,
    train,
)
from core.threads import wait_briefly

app = typer.Typer(
    name="promptoscope",
    help="Few-shot tuning, honest comparison and attention maps of biomedical vision-language models. "
    "Research use only. Not for use in diagnostic procedures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (serve, doctor, train, predict, explain, compare):
    for function in module.COMMANDS:
        app.command()(function)
for name, module in {
    "backbones": backbones,
    "methods": methods,
    "recipes": recipes,
    "images": images,
    "descriptions": descriptions,
    "job": jobs,
    "db": database,
}.items():
    app.add_typer(module.app, name=name)


def main() -> None:
    """The entry point."""
    wait_briefly(os.environ)
    app()


if __name__ == "__main__":
    main()
