"""Runs keep their leakage, the classes their backbone knew, intervals and calibration; finished jobs their last epoch.

Revision ID: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ADDED = ("leakage", "known_classes", "intervals", "calibration")


def upgrade() -> None:
    for name in ADDED:
        op.add_column("runs", sa.Column(name, sa.JSON(none_as_null=True), nullable=True))
    _fill_known_classes()
    # the last epoch's report was lost where a later stage came soon after it
    op.execute("UPDATE jobs SET epoch = epochs WHERE state = 'succeeded' AND epochs IS NOT NULL")


def _fill_known_classes() -> None:
    """Older runs say in a note which classes the backbone knew: "... has learned A, B from labelled images: ..."."""
    connection = op.get_bind()
    columns = (
        sa.column("id", sa.String),
        *(sa.column(name, sa.JSON) for name in ("notes", "classes", "known_classes")),
    )
    runs = sa.table("runs", *columns)
    for row in connection.execute(sa.select(runs.c.id, runs.c.notes, runs.c.classes)).all():
        said = next((note for note in row.notes or () if str(note).startswith("The text side of the backbone")), "")
        named = str(said).partition(" has learned ")[2].partition(" from labelled images")[0].split(", ")
        known = [name for name in row.classes or () if name in named]
        if known:
            connection.execute(runs.update().where(runs.c.id == row.id).values(known_classes=known))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        for name in ADDED:
            runs.drop_column(name)
