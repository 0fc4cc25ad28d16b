"""What readers typed about sentences and have not saved.

Revision ID: 0016
Follows: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unsaved_wordings",
        sa.Column("description_id", sa.String(26), nullable=False),
        sa.Column("reader", sa.String(300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["description_id"],
            ["descriptions.id"],
            name=op.f("fk_unsaved_wordings_description_id_descriptions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("description_id", "reader", name=op.f("pk_unsaved_wordings")),
    )


def downgrade() -> None:
    op.drop_table("unsaved_wordings")
