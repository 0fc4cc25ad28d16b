"""Regions drawn on images or uploaded; explanations name image hash, weights, explainer, settings and rules.

Revision ID: 0012
Follows: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID, SHA256, WORD = sa.String(26), sa.String(64), sa.String(40)
ADDED = ("image_sha256", "weights_sha256", "explainer", "settings", "rules")


def upgrade() -> None:
    op.create_table(
        "regions",
        sa.Column("id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("marked_px", sa.Integer(), nullable=False),
        sa.Column("mask_sha256", SHA256, nullable=False),
        sa.Column("mask_file", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_regions_image_id_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regions")),
    )
    op.create_index(op.f("ix_regions_image_id_created_at_id"), "regions", ["image_id", "created_at", "id"])
    op.create_index(op.f("ix_regions_mask_sha256"), "regions", ["mask_sha256"])
    op.add_column("explanations", sa.Column("image_sha256", SHA256, nullable=True))
    op.add_column("explanations", sa.Column("weights_sha256", SHA256, nullable=True))
    op.add_column("explanations", sa.Column("explainer", WORD, nullable=True))
    op.add_column("explanations", sa.Column("settings", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("explanations", sa.Column("rules", sa.Integer(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("explanations") as explanations:
        explanations.alter_column("settings", server_default=None)
        explanations.alter_column("rules", server_default=None)
    op.create_index(op.f("ix_explanations_image_sha256"), "explanations", ["image_sha256"])
    _name_what_is_known()


def _name_what_is_known() -> None:
    """Image and weights of older explanations are those of the rows that they belong to."""
    op.execute(
        "UPDATE explanations SET"
        " image_sha256 = (SELECT sha256 FROM images WHERE images.id = explanations.image_id),"
        " weights_sha256 = (SELECT weights_sha256 FROM models WHERE models.id = explanations.model_id)"
    )
    connection = op.get_bind()
    rows = sa.table(
        "explanations", *(sa.column(name) for name in ("id", "explainer", "rules")), sa.column("result", sa.JSON)
    )
    for id_, result in connection.execute(sa.select(rows.c.id, rows.c.result)).all():
        if isinstance(result, dict):
            told = {"explainer": result.get("explainer"), "rules": result.get("rules") or 0}
            connection.execute(rows.update().where(rows.c.id == id_).values(told))


def downgrade() -> None:
    op.drop_index(op.f("ix_explanations_image_sha256"), "explanations")
    with op.batch_alter_table("explanations") as explanations:
        for name in ADDED:
            explanations.drop_column(name)
    op.drop_table("regions")
