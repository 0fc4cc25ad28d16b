"""Experiments and their cells; runs keep protocol, parts, precision and draw, predictions their part, case and group.

Revision ID: 0008
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID, SHA256, NAME, WORD = sa.String(26), sa.String(64), sa.String(300), sa.String(40)
MOMENT, NUMBER = sa.DateTime(timezone=True), sa.Float(53)
RUN_COLUMNS = ("protocol", "share", "parts", "precision")
PREDICTION_COLUMNS = ("sha256", "group_name", "part")
ONE_SUBJECT = "(run_id IS NULL) <> (experiment_id IS NULL)"


def upgrade() -> None:
    _add_experiments()
    _add_cells()
    _extend_runs()
    _extend_predictions()
    _extend_jobs()
    op.create_table(
        "run_images",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", ID, nullable=True),
        sa.Column("sha256", SHA256, nullable=False),
        sa.CheckConstraint("role IN ('train', 'validation')", name=op.f("ck_run_images_role")),
        _key("run_images", "run_id", "runs", "CASCADE"),
        _key("run_images", "image_id", "images", "SET NULL"),
        sa.PrimaryKeyConstraint("run_id", "role", "position", name=op.f("pk_run_images")),
    )
    op.create_index(op.f("ix_run_images_image_id"), "run_images", ["image_id"])


def _add_experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("protocol", WORD, nullable=False),
        sa.Column("backbone", NAME, nullable=False),
        sa.Column("hash", SHA256, nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("spec", "sources", "texts")),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
    )
    op.create_index(op.f("ix_experiments_hash"), "experiments", ["hash"])
    op.create_index(op.f("ix_experiments_created_at_id"), "experiments", ["created_at", "id"])


def _add_cells() -> None:
    op.create_table(
        "experiment_cells",
        sa.Column("id", ID, nullable=False),
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", SHA256, nullable=True),
        sa.Column("state", WORD, nullable=False),
        sa.Column("image_set_id", ID, nullable=True),
        sa.Column("image_set_name", NAME, nullable=False),
        sa.Column("image_set_fingerprint", SHA256, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("shots", sa.Integer(), nullable=True),
        sa.Column("share", NUMBER, nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("descriptions", sa.Text(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("claim", ID, nullable=True),
        sa.Column("holder", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("heartbeat_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("seconds", NUMBER, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_experiment_cells_state")),
        _key("experiment_cells", "experiment_id", "experiments", "CASCADE"),
        _key("experiment_cells", "image_set_id", "image_sets", "SET NULL"),
        _key("experiment_cells", "run_id", "runs", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment_cells")),
        sa.UniqueConstraint("experiment_id", "position", name=op.f("uq_experiment_cells_experiment_id_position")),
    )
    for columns in (["experiment_id", "state", "position"], ["hash", "state"], ["run_id"], ["image_set_id"]):
        op.create_index(op.f(f"ix_experiment_cells_{'_'.join(columns)}"), "experiment_cells", columns)


def _extend_runs() -> None:
    op.add_column("runs", sa.Column("protocol", WORD, nullable=False, server_default="few-shot"))
    op.add_column("runs", sa.Column("share", NUMBER, nullable=True))
    op.add_column("runs", sa.Column("parts", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("runs", sa.Column("precision", WORD, nullable=True))
    _fill_precision()


def _fill_precision() -> None:
    """What older runs computed in stands on the card of their model, if that is still there."""
    connection = op.get_bind()
    runs = sa.table("runs", sa.column("id", sa.String), sa.column("precision", sa.String))
    models = sa.table("models", sa.column("run_id", sa.String), sa.column("card", sa.JSON))
    for run_id, card in connection.execute(sa.select(models.c.run_id, models.c.card)).all():
        known = card.get("precision") if isinstance(card, dict) else None
        if isinstance(known, str) and len(known) <= WORD.length:
            connection.execute(runs.update().where(runs.c.id == run_id).values(precision=known))


def _extend_predictions() -> None:
    with op.batch_alter_table("predictions") as predictions:
        predictions.add_column(sa.Column("sha256", SHA256, nullable=True))
        predictions.add_column(sa.Column("group_name", sa.Text(), nullable=True))
        predictions.add_column(sa.Column("part", NAME, nullable=False, server_default="test"))
        predictions.drop_constraint("pk_predictions", type_="primary")
        predictions.create_primary_key("pk_predictions", ["run_id", "part", "position"])
    op.execute(
        "UPDATE predictions SET"
        " sha256 = (SELECT sha256 FROM images WHERE images.id = predictions.image_id),"
        " group_name = (SELECT group_name FROM images WHERE images.id = predictions.image_id)"
        " WHERE image_id IS NOT NULL"
    )


def _extend_jobs() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("experiment_id", ID, nullable=True))
        jobs.add_column(sa.Column("note", sa.Text(), nullable=True))
        jobs.alter_column("run_id", existing_type=ID, nullable=True)
        jobs.create_foreign_key(
            op.f("fk_jobs_experiment_id_experiments"), "experiments", ["experiment_id"], ["id"], ondelete="CASCADE"
        )
        jobs.create_check_constraint(op.f("ck_jobs_one_subject"), ONE_SUBJECT)
    op.create_index(op.f("ix_jobs_experiment_id_created_at_id"), "jobs", ["experiment_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("run_images")
    op.execute("DELETE FROM jobs WHERE run_id IS NULL")
    op.drop_index(op.f("ix_jobs_experiment_id_created_at_id"), table_name="jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_one_subject"), type_="check")
        jobs.drop_constraint(op.f("fk_jobs_experiment_id_experiments"), type_="foreignkey")
        jobs.drop_column("note")
        jobs.drop_column("experiment_id")
        jobs.alter_column("run_id", existing_type=ID, nullable=False)
    # the older tables know one part a run
    op.execute("DELETE FROM predictions WHERE part <> 'test'")
    with op.batch_alter_table("predictions") as predictions:
        predictions.drop_constraint("pk_predictions", type_="primary")
        for name in PREDICTION_COLUMNS:
            predictions.drop_column(name)
        predictions.create_primary_key("pk_predictions", ["run_id", "position"])
    with op.batch_alter_table("runs") as runs:
        for name in RUN_COLUMNS:
            runs.drop_column(name)
    op.drop_table("experiment_cells")
    op.drop_table("experiments")


def _key(table: str, column: str, other: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete=ondelete
    )
