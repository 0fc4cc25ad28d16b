"""The database: an engine set up for its kind, and two ways in, one for reading and one for writing."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from core.errors import InvalidInput
from core.records.failures import Contended, told_in_sentences
from core.records.idempotency import AT_WORK
from core.records.tables import Base
from core.records.types import json_text, read_json

BUSY_TIMEOUT_S = 30
MORE_CONNECTIONS = 45
WRITES = "promptoscope_writes"
WRITE_TRIES = 5
PAUSE_S = 0.05
JSON_OPTIONS: dict[str, Any] = {"json_serializer": json_text, "json_deserializer": read_json}
T = TypeVar("T")


class Database:
    """SQLite (a file, or in memory for tests) or PostgreSQL by URL.

    `with db.reading() as session` gives one consistent view and refuses writes. `with db.writing() as session`
    commits at its end, or nothing on an error; `db.write(work)` does the same and tries again where two writers got
    into each other's way. Rows stay readable after their session has ended. wait_s: how long a locked database and a
    free connection are waited for. What the driver raises comes as in `core.records.failures`.
    """

    def __init__(self, url: str | URL, wait_s: float = BUSY_TIMEOUT_S) -> None:
        self.url = read_url(url)
        self.engine = make_engine(self.url, wait_s=wait_s)
        self._in_memory = is_in_memory(self.url)
        self._lock = threading.RLock()
        self._local = threading.local()
        read_options: dict[str, Any] = {WRITES: False}
        if self.is_postgresql:
            read_options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**read_options)
        self._writer = self.engine.execution_options(**{WRITES: True})

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL; otherwise it is SQLite."""
        return self.url.get_backend_name() == "postgresql"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one moment and changes nothing."""
        outer = getattr(self._local, "session", None)
        if outer is not None and self._in_memory:
            # There is only one connection in memory; a second transaction on it cannot begin.
            yield outer
            return
        with self._alone(), told_in_sentences(), Session(self._reader, autoflush=False) as session:
            self._local.session = session if self._in_memory else outer
            try:
                yield session
            finally:
                self._local.session = outer

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are committed together. It does not nest: pass the session on instead."""
        if getattr(self._local, "session", None) is not None:
            raise RuntimeError("this thread already has a session open; pass that session on")
        with self._alone(), told_in_sentences(), Session(self._writer, expire_on_commit=False) as session:
            self._local.session = session
            try:
                with session.begin():
                    yield session
            finally:
                self._local.session = None

    def write(self, work: Callable[[Session], T], *, remember: bool = True) -> T:
        """What `work` gives, done in one writing session; done again, a few times, if the database undid it.

        PostgreSQL undoes one of two transactions that wait for each other. `work` may therefore run more than once; or
        not at all, where a request with a key comes again that wrote it before: see `core.records.idempotency`.
        remember: False for what does no harm when it is done again.
        """
        asked = AT_WORK.get()
        if asked is None or not remember:
            return self._write(work)
        made = self._write(lambda session: asked.once(session, work))
        asked.done += 1
        return made

    def _write(self, work: Callable[[Session], T]) -> T:
        for attempt in range(1, WRITE_TRIES):
            try:
                with self.writing() as session:
                    return work(session)
            except Contended:
                time.sleep(attempt * PAUSE_S * (1 + random.random()))
        with self.writing() as session:
            return work(session)

    def create_tables(self) -> None:
        """All tables at once, without migrations: for databases in memory."""
        with self._writer.begin() as connection:
            Base.metadata.create_all(connection)

    def close(self) -> None:
        """Give up all connections."""
        self.engine.dispose()

    def _alone(self) -> Any:
        return self._lock if self._in_memory else nullcontext()


def memory_database() -> Database:
    """A fresh database in memory with all tables, for tests."""
    database = Database("sqlite://")
    database.create_tables()
    return database


def read_url(url: str | URL) -> URL:
    """The URL with psycopg 3 named as PostgreSQL's driver. Raises InvalidInput for another kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unknown_url("the text is no database URL") from None
    kind = parsed.get_backend_name()
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "sqlite":
        return parsed.set(drivername="sqlite")
    raise _unknown_url(f"'{kind}' is neither")


def is_in_memory(url: URL) -> bool:
    """Whether the SQLite database vanishes with its connection."""
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def make_engine(url: URL, foreign_keys: bool = True, wait_s: float | None = None) -> Engine:
    """The engine for a URL that `read_url` gave. Nothing is opened yet, but an SQLite file's folder is made.

    foreign_keys: False only while tables are rebuilt, where a dropped table must not take its children along. wait_s:
    how long to wait for a lock, for a connection to be made and for a free one; without it PostgreSQL waits for a lock
    for ever, as a migration must, and SQLite for BUSY_TIMEOUT_S.
    """
    # Parameters may be file names of patients' images; errors that end in a log must not show them.
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, **JSON_OPTIONS, **_waiting(url, wait_s))
    # Threads wait for the file's lock, which tells them so; a pool that is short would only add another queue.
    busy_s = BUSY_TIMEOUT_S if wait_s is None else wait_s
    options: dict[str, Any] = {"connect_args": {"timeout": busy_s}, "max_overflow": -1}
    if is_in_memory(url):
        options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    elif url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True, **JSON_OPTIONS, **options)
    event.listen(engine, "connect", _prepare_sqlite if foreign_keys else _prepare_sqlite_for_rebuilding)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _waiting(url: URL, wait_s: float | None) -> dict[str, Any]:
    """Options that end the waiting for a lock, a free connection, and a server that does not answer, after wait_s."""
    if wait_s is None:
        return {}
    asked = url.query.get("options", "")
    known = asked if isinstance(asked, str) else " ".join(asked)
    # What the URL itself says comes later, and counts.
    options = f"-c lock_timeout={int(wait_s * 1000)} {known}".strip()
    connection = {"options": options, "connect_timeout": max(2, math.ceil(wait_s))}
    return {"connect_args": connection, "pool_timeout": wait_s, "max_overflow": MORE_CONNECTIONS}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions late and only for writes; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    # A text that is not UTF-8 comes from a damaged file; it is shown with marks rather than failing its whole list.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_sqlite_for_rebuilding(connection: Any, record: Any) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA foreign_keys = OFF")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another writer came between; IMMEDIATE
    # takes the write lock first and waits for it.
    writes = connection.get_execution_options().get(WRITES, True)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _unknown_url(found: str) -> InvalidInput:
    return InvalidInput(
        "PROMPTOSCOPE_DATABASE_URL names an SQLite or a PostgreSQL database",
        found,
        "Use sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.",
    )
