"""Numbers that others have published, to stand beside ours.

Revision ID: 0010
Follows: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID, SHA256, NAME, WORD = sa.String(26), sa.String(64), sa.String(300), sa.String(40)
MOMENT, NUMBER = sa.DateTime(timezone=True), sa.Float(53)


def upgrade() -> None:
    op.create_table(
        "published_results",
        sa.Column("id", ID, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("data_set", NAME, nullable=False),
        sa.Column("image_set", NAME, nullable=True),
        sa.Column("fingerprint", SHA256, nullable=True),
        sa.Column("metric", WORD, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("part", WORD, nullable=False),
        sa.Column("protocol", WORD, nullable=False),
        sa.Column("shots", sa.Integer(), nullable=True),
        sa.Column("share", NUMBER, nullable=True),
        sa.Column("seeds", sa.Integer(), nullable=True),
        sa.Column("n_test", sa.Integer(), nullable=True),
        sa.Column("backbone", NAME, nullable=True),
        sa.Column("whose", WORD, nullable=False),
        sa.Column("run_by", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("h_definition", sa.Text(), nullable=True),
        sa.Column("deviations", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("whose IN ('authors', 're-run')", name=op.f("ck_published_results_whose")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_published_results")),
    )
    op.create_index(op.f("ix_published_results_method_data_set_id"), "published_results", ["method", "data_set", "id"])


def downgrade() -> None:
    op.drop_table("published_results")
