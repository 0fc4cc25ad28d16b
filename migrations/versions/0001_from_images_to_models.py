"""Image sets, descriptions, runs, jobs and models: all that training needs.

Revision ID: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("noun", sa.String(length=40), nullable=False),
        sa.Column("noun_id", sa.String(length=300), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_at_id"), "audit_entries", ["at", "id"], unique=False)
    op.create_index(op.f("ix_audit_entries_noun_noun_id_at"), "audit_entries", ["noun", "noun_id", "at"], unique=False)
    op.create_table(
        "image_sets",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("modality", sa.String(length=300), nullable=True),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('upload', 'folder', 'demo')", name=op.f("ck_image_sets_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_sets")),
        sa.UniqueConstraint("name", name=op.f("uq_image_sets_name")),
    )
    op.create_index(op.f("ix_image_sets_created_at"), "image_sets", ["created_at"], unique=False)
    op.create_index(op.f("ix_image_sets_fingerprint"), "image_sets", ["fingerprint"], unique=False)
    op.create_table(
        "description_sets",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("image_set_id", sa.String(length=26), nullable=True),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_set_id"],
            ["image_sets.id"],
            name=op.f("fk_description_sets_image_set_id_image_sets"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_description_sets")),
        sa.UniqueConstraint("image_set_id", "name", name=op.f("uq_description_sets_image_set_id_name")),
    )
    op.create_table(
        "image_classes",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("image_set_id", sa.String(length=26), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_set_id"],
            ["image_sets.id"],
            name=op.f("fk_image_classes_image_set_id_image_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_classes")),
        sa.UniqueConstraint("image_set_id", "label", name=op.f("uq_image_classes_image_set_id_label")),
        sa.UniqueConstraint("image_set_id", "name", name=op.f("uq_image_classes_image_set_id_name")),
    )
    op.create_table(
        "image_problems",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("image_set_id", sa.String(length=26), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_set_id"],
            ["image_sets.id"],
            name=op.f("fk_image_problems_image_set_id_image_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_problems")),
    )
    op.create_index(op.f("ix_image_problems_image_set_id"), "image_problems", ["image_set_id"], unique=False)
    op.create_table(
        "description_versions",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("description_set_id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("based_on_id", sa.String(length=26), nullable=True),
        sa.Column("author", sa.String(length=300), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["based_on_id"],
            ["description_versions.id"],
            name=op.f("fk_description_versions_based_on_id_description_versions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["description_set_id"],
            ["description_sets.id"],
            name=op.f("fk_description_versions_description_set_id_description_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_description_versions")),
        sa.UniqueConstraint(
            "description_set_id", "version", name=op.f("uq_description_versions_description_set_id_version")
        ),
    )
    op.create_index(op.f("ix_description_versions_based_on_id"), "description_versions", ["based_on_id"], unique=False)
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("image_set_id", sa.String(length=26), nullable=False),
        sa.Column("class_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("part", sa.String(length=5), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("mask_sha256", sa.String(length=64), nullable=True),
        sa.Column("mask_file", sa.Text(), nullable=True),
        sa.CheckConstraint("part IN ('train', 'val', 'test')", name=op.f("ck_images_part")),
        sa.ForeignKeyConstraint(
            ["class_id"], ["image_classes.id"], name=op.f("fk_images_class_id_image_classes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_set_id"], ["image_sets.id"], name=op.f("fk_images_image_set_id_image_sets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index(op.f("ix_images_class_id"), "images", ["class_id"], unique=False)
    op.create_index(
        op.f("ix_images_image_set_id_class_id_part_id"),
        "images",
        ["image_set_id", "class_id", "part", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_images_image_set_id_id"), "images", ["image_set_id", "id"], unique=False)
    op.create_index(op.f("ix_images_mask_sha256"), "images", ["mask_sha256"], unique=False)
    op.create_index(op.f("ix_images_sha256"), "images", ["sha256"], unique=False)
    op.create_table(
        "description_sentences",
        sa.Column("version_id", sa.String(length=26), nullable=False),
        sa.Column("class_position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("class_name", sa.String(length=300), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["description_versions.id"],
            name=op.f("fk_description_sentences_version_id_description_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", "class_position", "position", name=op.f("pk_description_sentences")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("image_set_id", sa.String(length=26), nullable=True),
        sa.Column("image_set_name", sa.String(length=300), nullable=False),
        sa.Column("image_set_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("description_version_id", sa.String(length=26), nullable=True),
        sa.Column("method", sa.String(length=300), nullable=False),
        sa.Column("backbone", sa.String(length=300), nullable=False),
        sa.Column("variant", sa.String(length=40), nullable=False),
        sa.Column("shots", sa.Integer(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("backbone_checksum", sa.String(length=64), nullable=True),
        sa.Column("descriptions_source", sa.Text(), nullable=True),
        sa.Column("descriptions_fingerprint", sa.String(length=64), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("n_train", sa.Integer(), nullable=True),
        sa.Column("n_val", sa.Integer(), nullable=True),
        sa.Column("n_test", sa.Integer(), nullable=True),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("confusion", sa.JSON(), nullable=False),
        sa.Column("per_class", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(length=300), nullable=True),
        sa.Column("seconds", sa.Float(precision=53), nullable=True),
        sa.Column("peak_mb", sa.Float(precision=53), nullable=True),
        sa.Column("temperature", sa.Float(precision=53), nullable=True),
        sa.Column("trainable_parameters", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["description_version_id"],
            ["description_versions.id"],
            name=op.f("fk_runs_description_version_id_description_versions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["image_set_id"], ["image_sets.id"], name=op.f("fk_runs_image_set_id_image_sets"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_created_at_id"), "runs", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_runs_description_version_id"), "runs", ["description_version_id"], unique=False)
    op.create_index(
        op.f("ix_runs_image_set_fingerprint_backbone_shots"),
        "runs",
        ["image_set_fingerprint", "backbone", "shots"],
        unique=False,
    )
    op.create_index(
        op.f("ix_runs_image_set_id_created_at_id"), "runs", ["image_set_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "epoch_metrics",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("loss", sa.Float(precision=53), nullable=True),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("learning_rate", sa.Float(precision=53), nullable=True),
        sa.Column("train_accuracy", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_epoch_metrics_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "epoch", name=op.f("pk_epoch_metrics")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage", sa.String(length=40), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=True),
        sa.Column("seconds_per_epoch", sa.Float(precision=53), nullable=True),
        sa.Column("seconds_left", sa.Float(precision=53), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_jobs_state")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_jobs_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_jobs_run_id")),
    )
    op.create_index(op.f("ix_jobs_created_at_id"), "jobs", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_jobs_state_created_at_id"), "jobs", ["state", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_jobs_state_queued_at_id"), "jobs", ["state", "queued_at", "id"], unique=False)
    op.create_table(
        "models",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("calibrated", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_models_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("run_id", name=op.f("uq_models_run_id")),
    )
    op.create_index(op.f("ix_models_created_at"), "models", ["created_at"], unique=False)
    op.create_index(op.f("ix_models_weights_sha256"), "models", ["weights_sha256"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.String(length=26), nullable=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("predicted", sa.String(length=300), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_predictions_image_id_images"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_predictions_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_predictions")),
    )
    op.create_index(op.f("ix_predictions_image_id"), "predictions", ["image_id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("executor", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("pid_started", sa.String(length=300), nullable=True),
        sa.Column("external_id", sa.String(length=300), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'succeeded', 'failed', 'cancelled', 'interrupted', 'lost')",
            name=op.f("ck_attempts_state"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_attempts_job_id_number")),
    )
    op.create_index(op.f("ix_attempts_state_host"), "attempts", ["state", "host"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_attempts_state_host"), table_name="attempts")
    op.drop_table("attempts")
    op.drop_index(op.f("ix_predictions_image_id"), table_name="predictions")
    op.drop_table("predictions")
    op.drop_index(op.f("ix_models_weights_sha256"), table_name="models")
    op.drop_index(op.f("ix_models_created_at"), table_name="models")
    op.drop_table("models")
    op.drop_index(op.f("ix_jobs_state_queued_at_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_state_created_at_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_created_at_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("epoch_metrics")
    op.drop_index(op.f("ix_runs_image_set_id_created_at_id"), table_name="runs")
    op.drop_index(op.f("ix_runs_image_set_fingerprint_backbone_shots"), table_name="runs")
    op.drop_index(op.f("ix_runs_description_version_id"), table_name="runs")
    op.drop_index(op.f("ix_runs_created_at_id"), table_name="runs")
    op.drop_table("runs")
    op.drop_table("description_sentences")
    op.drop_index(op.f("ix_images_sha256"), table_name="images")
    op.drop_index(op.f("ix_images_mask_sha256"), table_name="images")
    op.drop_index(op.f("ix_images_image_set_id_id"), table_name="images")
    op.drop_index(op.f("ix_images_image_set_id_class_id_part_id"), table_name="images")
    op.drop_index(op.f("ix_images_class_id"), table_name="images")
    op.drop_table("images")
    op.drop_index(op.f("ix_description_versions_based_on_id"), table_name="description_versions")
    op.drop_table("description_versions")
    op.drop_index(op.f("ix_image_problems_image_set_id"), table_name="image_problems")
    op.drop_table("image_problems")
    op.drop_table("image_classes")
    op.drop_table("description_sets")
    op.drop_index(op.f("ix_image_sets_fingerprint"), table_name="image_sets")
    op.drop_index(op.f("ix_image_sets_created_at"), table_name="image_sets")
    op.drop_table("image_sets")
    op.drop_index(op.f("ix_audit_entries_noun_noun_id_at"), table_name="audit_entries")
    op.drop_index(op.f("ix_audit_entries_at_id"), table_name="audit_entries")
    op.drop_table("audit_entries")
