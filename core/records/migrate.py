"""Bringing a database to the tables this code knows: by itself where it is empty, after a backup where it is not.

Alembic is loaded only where something is to be migrated: every command looks at the revision first, and a list should
not wait for it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.engine import URL

from core.disk import told_when_full
from core.errors import Conflict, InvalidInput, Unavailable
from core.records.failures import told_in_sentences
from core.records.session import Database, is_in_memory, make_engine, read_url
from core.records.types import now

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
VERSION_TABLE = "alembic_version"
DUMP_TIMEOUT_S = 3600
# Any fixed number: who migrates a PostgreSQL database holds this advisory lock.
MIGRATION_LOCK = 7_302_411

Standing = Literal["empty", "current", "older", "newer"]


@dataclass(frozen=True)
class State:
    """Where a database stands. revision: its own, None before the first. has_data: some table has a row."""

    standing: Standing
    revision: str | None
    head: str
    has_data: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "standing": self.standing,
            "revision": self.revision,
            "head": self.head,
            "has_data": self.has_data,
        }


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did: from which revision to which, and the backup made before."""

    before: str | None
    after: str
    backup: Path | None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"before": self.before, "after": self.after, "backup": str(self.backup) if self.backup else None}


def head() -> str:
    """The newest revision this code knows."""
    return _revisions()[-1]


def current(url: str | URL) -> str | None:
    """The revision of a database; None for one without tables."""
    return check(url).revision


def is_current(url: str | URL) -> bool:
    """Whether the database has exactly the tables this code knows."""
    return check(url).standing == "current"


def check(url: str | URL) -> State:
    """Where the database stands. Changes nothing; an SQLite file that does not exist is not made."""
    parsed = read_url(url)
    if _is_absent(parsed):
        return State("empty", None, head(), has_data=False)
    with _reading(parsed) as connection:
        return _state(connection)


def upgrade(
    url: str | URL,
    backup: bool = True,
    *,
    backups_dir: Path | None = None,
    revision: str = "head",
) -> Upgrade:
    """Bring a database to a revision, after a backup if it holds data.

    backups_dir: where the copy goes; without it, `backups` beside the SQLite file. backup=False is for those who
    have made one themselves. Two processes may call this at once: the second waits and finds nothing to do. Raises
    Conflict for a database newer than this code, Unavailable where no backup can be made.
    """
    parsed = read_url(url)
    before = check(parsed)
    _refuse_newer(before)
    if before.revision == _resolve(revision):
        return Upgrade(before.revision, before.revision, None)
    copy = back_up(parsed, backups_dir) if backup and before.has_data else None
    with migration_connection(parsed) as connection:
        state = _state(connection)
        _refuse_newer(state)
        if state.revision != _resolve(revision):
            from alembic import command

            command.upgrade(_config(connection), revision)
            _check_foreign_keys(connection)
    return Upgrade(before.revision, _resolve(revision), copy)


def prepare(url: str | URL) -> None:
    """What every command does first: make or migrate an empty database, leave a current one, refuse the others.

    Raises Conflict for an older database with data (it is for `db upgrade` or `serve`) and for a newer one.
    """
    state = check(url)
    _refuse_newer(state)
    if state.standing == "older" and state.has_data:
        raise Conflict(
            f"The database has the tables of revision {state.head}",
            f"it has those of revision {state.revision} and holds data",
            "Run `promptoscope db upgrade`, which makes a backup first.",
        )
    if state.standing != "current":
        upgrade(url, backup=False)


def open_database(url: str | URL) -> Database:
    """The database, prepared as `prepare` says."""
    prepare(url)
    return Database(url)


def back_up(url: str | URL, backups_dir: Path | None = None) -> Path:
    """Copy a whole database into a new file, while others may go on using it. Returns the file.

    Raises Unavailable if PostgreSQL's pg_dump is missing or fails.
    """
    parsed = read_url(url)
    folder = backups_dir or _backups_beside(parsed)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{now():%Y%m%d-%H%M%S-%f}-revision-{current(parsed) or 'none'}"
    if parsed.get_backend_name() == "sqlite":
        return _copy_sqlite(parsed, folder / f"{stem}.db")
    return _dump_postgresql(parsed, folder / f"{stem}.dump")


@contextmanager
def migration_connection(url: str | URL) -> Iterator[Connection]:
    """A connection in one transaction that only one process at a time gets. Foreign keys are off on SQLite."""
    engine = make_engine(read_url(url), foreign_keys=False)
    try:
        with told_in_sentences(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    database = Database(url)
    try:
        with database.reading() as session:
            yield session.connection()
    finally:
        database.close()


def _state(connection: Connection) -> State:
    names = set(inspect(connection).get_table_names())
    tables = names - {VERSION_TABLE}
    revision = _written_revision(connection) if tables and VERSION_TABLE in names else None
    has_data = any(_has_row(connection, name) for name in sorted(tables))
    if revision is None and tables:
        raise Conflict(
            "The database is empty or was made by Promptoscope",
            f"it has tables of its own: {', '.join(sorted(tables)[:5])}",
            "Give Promptoscope a database or schema for itself.",
        )
    return State(_standing(revision), revision, head(), has_data)


def _standing(revision: str | None) -> Standing:
    if revision is None:
        return "empty"
    if revision == head():
        return "current"
    return "older" if revision in _revisions() else "newer"


def _written_revision(connection: Connection) -> str | None:
    """The revision Alembic wrote into the database."""
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()


def _has_row(connection: Connection, name: str) -> bool:
    return connection.execute(select(text("1")).select_from(table(name)).limit(1)).first() is not None


def _refuse_newer(state: State) -> None:
    if state.standing == "newer":
        raise Conflict(
            f"This version of Promptoscope knows the database up to revision {state.head}",
            f"the database has revision {state.revision}",
            "Install the newer version that made it, or use another home folder.",
        )


def _resolve(revision: str) -> str:
    return head() if revision == "head" else revision


def _revisions() -> list[str]:
    """All revisions in their order: they follow each other, and each file begins with its own."""
    return sorted(file.name.split("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    # Alembic reads % as the start of a name to fill in.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise Conflict(
            "After a migration every row finds the rows it refers to",
            f"{len(broken)} do not, the first in table {broken[0][0]}",
            "Nothing was changed. Report this with the output of `promptoscope db check`.",
        )


def _is_absent(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not is_in_memory(url) and not Path(url.database or "").exists()


def _backups_beside(url: URL) -> Path:
    if url.get_backend_name() == "sqlite" and not is_in_memory(url):
        return Path(url.database or "").resolve().parent / "backups"
    raise InvalidInput(
        "A backup needs a folder to go to", "none was given", "Name one, such as the home folder's `backups`."
    )


def _copy_sqlite(url: URL, target: Path) -> Path:
    with _draft(target) as part:
        with closing(sqlite3.connect(url.database or "")) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        part.chmod(0o600)
    return target


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Where a copy is written; it gets its name when it is whole and goes when it is not. Raises DiskFull."""
    part = target.with_suffix(".part")
    try:
        with told_when_full():
            yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _dump_postgresql(url: URL, target: Path) -> Path:
    program = shutil.which("pg_dump")
    if program is None:
        raise _no_backup("pg_dump is not installed here")
    # The password goes by the environment: arguments are visible to every user of the machine.
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    with _draft(target) as part:
        arguments = [program, "--format=custom", "--no-password", f"--file={part}", address]
        try:
            done = subprocess.run(
                arguments, env=environment, capture_output=True, text=True, timeout=DUMP_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise _no_backup(f"pg_dump was not done after {DUMP_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise _no_backup(f"pg_dump said: {(done.stderr.strip() or 'nothing').splitlines()[-1]}")
        part.chmod(0o600)
    return target


def _no_backup(found: str) -> Unavailable:
    return Unavailable(
        "A database with data is backed up before it is migrated",
        found,
        "Install PostgreSQL's client programs of the server's version, or make a backup yourself and run "
        "`promptoscope db upgrade --no-backup`.",
    )
