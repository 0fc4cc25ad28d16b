"""The home folder as commands open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.services.context import Context
    from core.settings import Settings


def settings() -> Settings:
    """The settings in force; the home folder is made, for its owner alone, if there is none."""
    from core.settings import Settings

    found = Settings()
    found.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return found


@contextmanager
def opened() -> Iterator[Context]:
    """The context of the home folder, its database made or migrated if it holds nothing yet.

    Raises Conflict for an older database with data: `db upgrade` or `serve` migrates it, after a backup.
    """
    from app.services.contents import sweep_home
    from app.services.context import open_context
    from core.records import migrate

    found = settings()
    migrate.prepare(found.database)
    context = open_context(found)
    try:
        sweep_home(context)
        yield context
    finally:
        context.close()
