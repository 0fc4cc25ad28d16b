"""Classifications, explanations, workers and idempotency keys: all that using a model needs.

Revision ID: 0002
Follows: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOOSENED = {"image_set_id": sa.String(26), "class_id": sa.String(26), "part": sa.String(5)}


def upgrade() -> None:

    # Images sent only to be classified belong to no set.
    with op.batch_alter_table("images") as images:
        for column, kind in LOOSENED.items():
            images.alter_column(column, existing_type=kind, nullable=True)
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("method", "path", "key", name=op.f("uq_idempotency_keys_method_path_key")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("executor", sa.String(length=40), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(op.f("ix_workers_heartbeat_at"), "workers", ["heartbeat_at"], unique=False)
    op.create_table(
        "classifications",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("model_id", sa.String(length=26), nullable=True),
        sa.Column("model_name", sa.String(length=300), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_classifications_model_id_models"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_classifications")),
    )
    op.create_index(op.f("ix_classifications_created_at_id"), "classifications", ["created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_classifications_model_id_created_at_id"),
        "classifications",
        ["model_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "explanations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("model_id", sa.String(length=26), nullable=False),
        sa.Column("image_id", sa.String(length=26), nullable=False),
        sa.Column("class_name", sa.String(length=300), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_explanations_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_explanations_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_explanations")),
    )
    op.create_index(op.f("ix_explanations_created_at_id"), "explanations", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_explanations_image_id"), "explanations", ["image_id"], unique=False)
    op.create_index(
        op.f("ix_explanations_model_id_image_id_class_name"),
        "explanations",
        ["model_id", "image_id", "class_name"],
        unique=False,
    )
    op.create_table(
        "classification_images",
        sa.Column("classification_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.String(length=26), nullable=False),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["classification_id"],
            ["classifications.id"],
            name=op.f("fk_classification_images_classification_id_classifications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_classification_images_image_id_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("classification_id", "position", name=op.f("pk_classification_images")),
    )
    op.create_index(op.f("ix_classification_images_image_id"), "classification_images", ["image_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_classification_images_image_id"), table_name="classification_images")
    op.drop_table("classification_images")
    op.drop_index(op.f("ix_explanations_model_id_image_id_class_name"), table_name="explanations")
    op.drop_index(op.f("ix_explanations_image_id"), table_name="explanations")
    op.drop_index(op.f("ix_explanations_created_at_id"), table_name="explanations")
    op.drop_table("explanations")
    op.drop_index(op.f("ix_classifications_model_id_created_at_id"), table_name="classifications")
    op.drop_index(op.f("ix_classifications_created_at_id"), table_name="classifications")
    op.drop_table("classifications")
    op.drop_index(op.f("ix_workers_heartbeat_at"), table_name="workers")
    op.drop_table("workers")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    # The former tables have no place for images without a set.
    op.execute("DELETE FROM images WHERE image_set_id IS NULL")
    with op.batch_alter_table("images") as images:
        for column, kind in LOOSENED.items():
            images.alter_column(column, existing_type=kind, nullable=False)
