"""What a model says beside its probabilities: a set, a reason to be silent, and the nearest training images.

Revision ID: 0015
Follows: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("classification_images", sa.Column("judged", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("classification_images") as table:
        table.drop_column("judged")
