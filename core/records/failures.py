"""What the database's driver raises, told as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.disk import disk_full
from core.errors import Conflict, DatabaseAway, NotFound, PromptoscopeError

TAKEN = {"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
GONE = {"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"}
UNDONE = {"40001", "40P01"}
FULL = {"53100", "SQLITE_FULL"}


class Contended(DatabaseAway):
    """The database undid a transaction because of another one; doing it again usually succeeds."""


@contextmanager
def told_in_sentences() -> Iterator[None]:
    """Turns the driver's exceptions into ours.

    Conflict where something of that kind was made in the same moment, NotFound where something referred to was
    deleted meanwhile, DiskFull, Contended, and DatabaseAway for the rest of what waiting mends. Mistakes of the
    program, such as a missing value, stay what they are.
    """
    try:
        yield
    except PoolTimeout as error:
        raise _away("all connections are in use") from error
    except DBAPIError as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error


def _told(error: DBAPIError) -> PromptoscopeError | None:
    code = _code(error)
    # Only the driver's own first line: the statement's values may be data about patients.
    said = str(error.orig).splitlines()[0] if str(error.orig or "") else type(error).__name__
    if isinstance(error, IntegrityError):
        return _broken_rule(code)
    if code in FULL:
        return disk_full("the database")
    if code in UNDONE:
        return Contended("Transactions do not wait for each other", f"the database said: {said}", "Try again.")
    lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return _away(f"it said: {said}") if lost else None


def _broken_rule(code: str) -> PromptoscopeError | None:
    if code in TAKEN:
        return Conflict(
            "What is added is new",
            "the same was added by somebody else in the same moment",
            "Load the page again, and choose another name if it has to be a new one.",
        )
    if code in GONE:
        return NotFound(
            "Everything this belongs to still exists",
            "a part of it was deleted in the same moment",
            "Load the page again and choose from what is there.",
        )
    return None


def _code(error: DBAPIError) -> str:
    """PostgreSQL's five characters, or SQLite's name of the error."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None) or ""


def _away(found: str) -> DatabaseAway:
    return DatabaseAway(
        "The database answers and has room",
        found,
        "Check that it runs, that PROMPTOSCOPE_DATABASE_URL is right and that the disk is not full.",
    )
