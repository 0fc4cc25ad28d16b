"""What of a run's time was training, and what went into features that others use too.

Revision ID: 0013
Follows: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ADDED = {
    "training_seconds": sa.Float(53),
    "feature_seconds": sa.Float(53),
    "encoded_pictures": sa.Integer(),
    "trained_together": sa.Integer(),
}


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("runs", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs") as table:
        for name in ADDED:
            table.drop_column(name)
