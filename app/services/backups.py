"""Backups of the database: put back in its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from core.disk import told_when_full
from core.errors import InvalidInput, NotFound, Unavailable
from core.records import migrate
from core.records.session import read_url
from core.settings import Settings

RESTORE_TIMEOUT_S = 3600


def restore(settings: Settings, file: Path) -> dict[str, Any]:
    """Replace the database by a copy that `migrate.back_up` made; what is there is copied first.

    Returns {path, revision, backup}. Raises NotFound, InvalidInput for a file that is no sound copy, Unavailable
    where PostgreSQL's pg_restore is missing or fails.
    """
    if not file.is_file():
        raise NotFound("A copy made by `promptoscope db backup`", f"there is none at '{file}'", "Check the path.")
    url = read_url(settings.database)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        _check_sqlite(file)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = migrate.check(url)
    kept = migrate.back_up(url, settings.home / "backups") if before.has_data else None
    if is_sqlite:
        _copy_sqlite(file, Path(url.database or ""))
    else:
        _run_pg_restore(url, file)
    return {"path": str(file), "revision": migrate.current(url), "backup": str(kept) if kept else None}


def _check_sqlite(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
            tables = {row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise _unsound(file, str(error)) from None
    if found != "ok":
        raise _unsound(file, found)
    if migrate.VERSION_TABLE not in tables:
        raise _unsound(file, "it was not made by Promptoscope")


def _unsound(file: Path, found: str) -> InvalidInput:
    return InvalidInput("A whole copy of a Promptoscope database", f"'{file.name}': {found}", "Choose another copy.")


def _copy_sqlite(file: Path, target: Path) -> None:
    # SQLite's own copying takes its locks, so that a reader sees the old database or the new one.
    target.parent.mkdir(parents=True, exist_ok=True)
    with told_when_full(), closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as live:
        source.backup(live)


def _run_pg_restore(url: URL, file: Path) -> None:
    program = shutil.which("pg_restore")
    if program is None:
        raise Unavailable("pg_restore is installed", "it is not", "Install PostgreSQL's client programs.")
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    arguments = [
        program,
        "--clean",
        "--if-exists",
        "--no-owner",
        "--single-transaction",
        f"--dbname={address}",
        str(file),
    ]
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=RESTORE_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise Unavailable("pg_restore puts the copy back", f"it said: {said}", "Nothing was changed; mend that first.")
