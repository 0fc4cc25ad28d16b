"""Images say how deep values are shown and what their pictures lack.

Rows from before stay empty: nobody has looked at their pictures.

Revision ID: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("windowing", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("images", sa.Column("findings", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("images") as images:
        images.drop_column("findings")
        images.drop_column("windowing")
