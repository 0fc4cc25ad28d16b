"""What an answer about one image costs, and how many unlabelled images a run learned from.

Revision ID: 0014
Follows: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ADDED = {"gflops_per_image": sa.Float(53), "unlabelled_images": sa.Integer()}


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("runs", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs") as table:
        for name in ADDED:
            table.drop_column(name)
