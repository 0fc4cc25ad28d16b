"""Explanations over whole image sets, as jobs.

Revision ID: 0011
Follows: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID, SHA256, NAME, WORD = sa.String(26), sa.String(64), sa.String(300), sa.String(40)
MOMENT = sa.DateTime(timezone=True)
OLD_SUBJECTS = ("run_id", "experiment_id", "description_task_id")


def _one_of(columns: tuple[str, ...]) -> str:
    return " + ".join(f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in columns) + " = 1"


def upgrade() -> None:
    op.create_table(
        "explanation_batches",
        sa.Column("id", ID, nullable=False),
        sa.Column("image_set_id", ID, nullable=True),
        sa.Column("image_set_name", NAME, nullable=False),
        sa.Column("image_set_fingerprint", SHA256, nullable=False),
        sa.Column("part", WORD, nullable=False),
        sa.Column("n_images", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        _key("explanation_batches", "image_set_id", "image_sets", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_explanation_batches")),
    )
    _index("explanation_batches", "image_set_id")
    _index("explanation_batches", "created_at", "id")
    op.create_table(
        "explanation_batch_models",
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", ID, nullable=True),
        sa.Column("name", NAME, nullable=False),
        sa.Column("weights_sha256", SHA256, nullable=False),
        sa.Column("plan", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        _key("explanation_batch_models", "batch_id", "explanation_batches", "CASCADE"),
        _key("explanation_batch_models", "model_id", "models", "SET NULL"),
        sa.PrimaryKeyConstraint("batch_id", "position", name=op.f("pk_explanation_batch_models")),
    )
    _index("explanation_batch_models", "model_id")
    op.create_table(
        "explanation_batch_measures",
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("model_position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("image_id", ID, nullable=True),
        sa.Column("image_sha256", SHA256, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("class_name", NAME, nullable=False),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("left_out", sa.Text(), nullable=True),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("measured_at", MOMENT, nullable=False),
        _key("explanation_batch_measures", "batch_id", "explanation_batches", "CASCADE"),
        _key("explanation_batch_measures", "image_id", "images", "SET NULL"),
        sa.PrimaryKeyConstraint(
            "batch_id", "model_position", "image_position", "key", name=op.f("pk_explanation_batch_measures")
        ),
    )
    _index("explanation_batch_measures", "image_id")
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("explanation_batch_id", ID, nullable=True))
        jobs.create_foreign_key(
            op.f("fk_jobs_explanation_batch_id_explanation_batches"),
            "explanation_batches",
            ["explanation_batch_id"],
            ["id"],
            ondelete="CASCADE",
        )
        jobs.create_unique_constraint(op.f("uq_jobs_explanation_batch_id"), ["explanation_batch_id"])
        jobs.drop_constraint(op.f("ck_jobs_one_subject"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_one_subject"), _one_of((*OLD_SUBJECTS, "explanation_batch_id")))


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE explanation_batch_id IS NOT NULL")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_one_subject"), type_="check")
        jobs.drop_constraint(op.f("uq_jobs_explanation_batch_id"), type_="unique")
        jobs.drop_constraint(op.f("fk_jobs_explanation_batch_id_explanation_batches"), type_="foreignkey")
        jobs.drop_column("explanation_batch_id")
        jobs.create_check_constraint(op.f("ck_jobs_one_subject"), _one_of(OLD_SUBJECTS))
    for name in ("explanation_batch_measures", "explanation_batch_models", "explanation_batches"):
        op.drop_table(name)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _key(table: str, column: str, other: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete=ondelete
    )
