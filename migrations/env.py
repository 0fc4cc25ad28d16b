"""Alembic's entry: migrates over the connection it is handed, or over one to the database of the settings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from core.records.migrate import migration_connection
from core.records.tables import Base
from core.settings import Settings


def migrate(connection: Connection) -> None:
    """Run the asked revisions inside the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite cannot alter most things in place; a table is rebuilt instead.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the caller's connection where there is one."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        migrate(connection)
        return
    with migration_connection(Settings().database) as own:
        migrate(own)


main()
