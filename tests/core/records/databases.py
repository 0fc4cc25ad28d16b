"""Databases for tests: a file of SQLite's, and a schema of its own on PostgreSQL where one is there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text

from core.records.ids import new_id
from core.records.migrate import upgrade
from core.records.session import Database

POSTGRES_URL = "PROMPTOSCOPE_TEST_POSTGRES_URL"
ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@cache
def empty_sqlite() -> bytes:
    """The bytes of a migrated SQLite file without data: copying them is quicker than migrating."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        upgrade(f"sqlite:///{file}")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()


@contextmanager
def migrated_database(kind: str, folder: Path) -> Iterator[Database]:
    """A database with all tables and no row."""
    with database_url(kind, folder) as url:
        if kind == "sqlite":
            (folder / "test.db").write_bytes(empty_sqlite())
        else:
            upgrade(url)
        database = Database(url)
        yield database
        database.close()


@contextmanager
def database_url(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    address = os.environ.get(POSTGRES_URL)
    if not address:
        pytest.skip(f"{POSTGRES_URL} is not set")
    server, schema = Database(address), f"test_{new_id()}"
    with server.writing() as session:
        session.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield server.url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    finally:
        with server.writing() as session:
            session.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        server.close()
