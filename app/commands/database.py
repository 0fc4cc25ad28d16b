"""`db`: the database behind the home folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import settings
from app.commands.output import FAILED, JsonFlag, command, output

app = typer.Typer(help="The database: upgraded, checked, backed up and restored.", no_args_is_help=True)


@app.command()
@command
def upgrade(
    backup: Annotated[bool, typer.Option(help="Copy the database first if it holds data.")] = True,
    json: JsonFlag = False,
) -> None:
    """Bring the database to the tables this version knows."""
    from core.records import migrate

    with output(json) as out:
        found = settings()
        done = migrate.upgrade(found.database, backup, backups_dir=found.home / "backups")
        copy = f" A copy of the old one is at {done.backup}." if done.backup else ""
        out.row(done.as_dict(), f"The database has revision {done.after} (before: {done.before or 'none'}).{copy}")


@app.command()
@command
def check(json: JsonFlag = False) -> None:
    """Say where the database stands. Exit code 1 unless it is current."""
    from core.records import migrate

    with output(json) as out:
        state = migrate.check(settings().database)
        out.row(state.as_dict(), f"The database is {state.standing}: revision {state.revision}, newest {state.head}.")
        if state.standing != "current":
            raise typer.Exit(FAILED)


@app.command()
@command
def backup(
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the copy; the home's backups by default.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Copy the whole database while others go on using it. Images and models are files beside it: copy them too."""
    from core.records import migrate

    with output(json) as out:
        found = settings()
        copy = migrate.back_up(found.database, out_dir or found.home / "backups")
        out.row({"path": str(copy)}, f"Copied the database to {copy}.")


@app.command()
@command
def restore(
    file: Annotated[Path, typer.Argument(help="A copy made by `db backup`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace what is in the database without asking.")] = False,
    json: JsonFlag = False,
) -> None:
    """Put a copy back in place of the database, which is itself copied first. Stop the server before."""
    from app.services.backups import restore as put_back

    with output(json) as out:
        if not yes:
            typer.confirm("This replaces everything in the database. Go on?", abort=True, err=True)
        done = put_back(settings(), file)
        out.row(done, f"Restored {file}; what was there before is at {done['backup'] or '(it was empty)'}.")
