"""Indexes in the order in which lists are read, so that a page costs the same however much there is.

Revision ID: 0007
Follows: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ADDED = (
    ("image_sets", "created_at", "id"),
    ("image_problems", "image_set_id", "id"),
    ("description_sets", "name", "id"),
    ("models", "created_at", "id"),
    ("explanations", "model_id", "created_at", "id"),
    ("runs", "method", "backbone", "created_at"),
)
COVERED = (("image_sets", "created_at"), ("image_problems", "image_set_id"), ("models", "created_at"))


def upgrade() -> None:
    for table, *columns in ADDED:
        op.create_index(_name(table, columns), table, columns)
    for table, *columns in COVERED:
        op.drop_index(_name(table, columns), table_name=table)


def downgrade() -> None:
    for table, *columns in COVERED:
        op.create_index(_name(table, columns), table, columns)
    for table, *columns in ADDED:
        op.drop_index(_name(table, columns), table_name=table)


def _name(table: str, columns: list[str]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
