"""`promptoscope`: the site, the engine and the records from a terminal."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from app.commands import (
    backbones,
    bundle,
    compare,
    database,
    demo,
    description_evidence,
    descriptions,
    doctor,
    experiment,
    explain,
    images,
    jobs,
    methods,
    models,
    predict,
    published,
    recipes,
    report,
    reproduce,
    serve,
    train,
)
from core.threads import wait_briefly
from core.version import VERSION

app = typer.Typer(
    name="promptoscope",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"promptoscope {VERSION}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print name and version.")
    ] = False,
) -> None:
    """Few-shot tuning, honest comparison and attention maps of biomedical vision-language models.

    Research use only. Not for use in diagnostic procedures.
    """


for module in (serve, doctor, train, predict, compare, report, demo):
    for function in module.COMMANDS:
        app.command()(function)
for function in description_evidence.COMMANDS:
    descriptions.app.command()(function)
for function in reproduce.COMMANDS:
    experiment.app.command()(function)
for name, module in {
    "backbones": backbones,
    "explain": explain,
    "methods": methods,
    "recipes": recipes,
    "images": images,
    "descriptions": descriptions,
    "experiment": experiment,
    "bundle": bundle,
    "published": published,
    "model": models,
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
