"""Sentences as records with revisions, actions and reviews; signed versions; tasks about descriptions.

Revision ID: 0009
Follows: 0008
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from core.records.ids import new_id

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID, NAME, WORD = sa.String(26), sa.String(300), sa.String(40)
MOMENT, NUMBER = sa.DateTime(timezone=True), sa.Float(53)
STATES = "state IN ('draft', 'approved', 'rejected', 'needs_second_reader')"
OLD_SUBJECT = "(run_id IS NULL) <> (experiment_id IS NULL)"
SUBJECT = (
    "CASE WHEN run_id IS NULL THEN 0 ELSE 1 END + CASE WHEN experiment_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN description_task_id IS NULL THEN 0 ELSE 1 END = 1"
)

versions = sa.table(
    "description_versions",
    *(sa.column(name) for name in ("id", "description_set_id", "version", "author", "source")),
    sa.column("created_at"),
)
sentences = sa.table(
    "description_sentences",
    *(sa.column(name) for name in ("version_id", "class_position", "position", "class_name", "sentence")),
    sa.column("description_id", ID),
    sa.column("revision", sa.Integer()),
)
descriptions = sa.table(
    "descriptions",
    *(sa.column(name) for name in ("id", "description_set_id", "position", "class_name", "text", "state")),
    *(sa.column(name) for name in ("withdrawn", "revision", "author_kind", "author", "planted")),
    sa.column("created_at"),
)
actions = sa.table(
    "description_actions",
    *(sa.column(name) for name in ("id", "description_set_id", "kind", "actor", "note", "changed")),
    sa.column("created_at"),
)
revisions = sa.table(
    "description_revisions",
    *(sa.column(n) for n in ("description_id", "number", "action_id", "class_name", "text", "state", "withdrawn")),
)


def upgrade() -> None:
    _add_sentences()
    _add_reviews()
    _add_tasks()
    with op.batch_alter_table("description_versions") as table:
        table.add_column(sa.Column("signed_by", NAME, nullable=True))
        table.add_column(sa.Column("signed_at", MOMENT, nullable=True))
    with op.batch_alter_table("description_sentences") as table:
        table.add_column(sa.Column("description_id", ID, nullable=True))
        table.add_column(sa.Column("revision", sa.Integer(), nullable=True))
        table.create_foreign_key(
            op.f("fk_description_sentences_description_id_descriptions"),
            "descriptions",
            ["description_id"],
            ["id"],
            ondelete="SET NULL",
        )
    op.create_index(op.f("ix_description_sentences_description_id"), "description_sentences", ["description_id"])
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("description_task_id", ID, nullable=True))
        jobs.create_foreign_key(
            op.f("fk_jobs_description_task_id_description_tasks"),
            "description_tasks",
            ["description_task_id"],
            ["id"],
            ondelete="CASCADE",
        )
        jobs.create_unique_constraint(op.f("uq_jobs_description_task_id"), ["description_task_id"])
        jobs.drop_constraint(op.f("ck_jobs_one_subject"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_one_subject"), SUBJECT)
    _make_sentences_of_versions()


def _add_sentences() -> None:
    op.create_table(
        "descriptions",
        sa.Column("id", ID, nullable=False),
        sa.Column("description_set_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("class_name", NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author_kind", WORD, nullable=False),
        sa.Column("author", NAME, nullable=False),
        sa.Column("origin", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("planted", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_descriptions_state")),
        sa.CheckConstraint(
            "author_kind IN ('person', 'model', 'pack', 'file', 'template')", name=op.f("ck_descriptions_author_kind")
        ),
        _key("descriptions", "description_set_id", "description_sets", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_descriptions")),
        sa.UniqueConstraint("description_set_id", "position", name=op.f("uq_descriptions_description_set_id_position")),
    )
    _index("descriptions", "description_set_id", "state", "position")
    op.create_table(
        "description_actions",
        sa.Column("id", ID, nullable=False),
        sa.Column("description_set_id", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("undoes_id", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        _key("description_actions", "description_set_id", "description_sets", "CASCADE"),
        _key("description_actions", "undoes_id", "description_actions", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_description_actions")),
        sa.UniqueConstraint("undoes_id", name=op.f("uq_description_actions_undoes_id")),
    )
    _index("description_actions", "description_set_id", "id")
    op.create_table(
        "description_revisions",
        sa.Column("description_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action_id", ID, nullable=False),
        sa.Column("class_name", NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_description_revisions_state")),
        _key("description_revisions", "description_id", "descriptions", "CASCADE"),
        _key("description_revisions", "action_id", "description_actions", "CASCADE"),
        sa.PrimaryKeyConstraint("description_id", "number", name=op.f("pk_description_revisions")),
    )
    _index("description_revisions", "action_id")


def _add_reviews() -> None:
    op.create_table(
        "description_reviews",
        sa.Column("id", ID, nullable=False),
        sa.Column("description_id", ID, nullable=False),
        sa.Column("action_id", ID, nullable=False),
        sa.Column("reader", NAME, nullable=False),
        sa.Column("decision", WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("text_revision", sa.Integer(), nullable=False),
        sa.Column("seconds", NUMBER, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("decision IN ('approve', 'reject', 'flag')", name=op.f("ck_description_reviews_decision")),
        _key("description_reviews", "description_id", "descriptions", "CASCADE"),
        _key("description_reviews", "action_id", "description_actions", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_description_reviews")),
    )
    _index("description_reviews", "action_id")
    _index("description_reviews", "description_id", "reader", "id")


def _add_tasks() -> None:
    op.create_table(
        "description_tasks",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("description_set_id", ID, nullable=False),
        sa.Column("image_set_id", ID, nullable=True),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint("kind IN ('write', 'evidence')", name=op.f("ck_description_tasks_kind")),
        _key("description_tasks", "description_set_id", "description_sets", "CASCADE"),
        _key("description_tasks", "image_set_id", "image_sets", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_description_tasks")),
    )
    _index("description_tasks", "image_set_id")
    _index("description_tasks", "description_set_id", "created_at", "id")
    op.create_table(
        "description_task_parts",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", NAME, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'done', 'failed')", name=op.f("ck_description_task_parts_state")),
        _key("description_task_parts", "task_id", "description_tasks", "CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "position", name=op.f("pk_description_task_parts")),
    )


class _Sentence:
    """A sentence on its way through the versions of its set: its row, its newest revision, and whether it is there."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row, self.number, self.there = row, 1, True
        self.revisions: list[dict[str, Any]] = []


def _make_sentences_of_versions() -> None:
    """Sentences of the versions that were saved so far: the same words of a class are one sentence in all of them."""
    connection = op.get_bind()
    query = sa.select(versions).order_by(versions.c.description_set_id, versions.c.version)
    of_set: dict[str, list[Any]] = {}
    for row in connection.execute(query).all():
        of_set.setdefault(row.description_set_id, []).append(row)
    for set_id, rows in of_set.items():
        _walk(connection, set_id, rows)


def _walk(connection: sa.Connection, set_id: str, rows: list[Any]) -> None:
    known: dict[tuple[str, str, int], _Sentence] = {}
    for version in rows:
        action = new_id()
        here = dict(_keyed(connection, version.id))
        fresh = [
            _begin(set_id, len(known) + at, key, version) for at, key in enumerate(k for k in here if k not in known)
        ]
        changed = [known[k] for k in known if known[k].there != (k in here)]
        for sentence in changed:
            sentence.there = not sentence.there
            sentence.number += 1
        known |= {(s.row["class_name"], s.row["text"], n): s for s, n in fresh}
        for sentence in [*changed, *(s for s, _ in fresh)]:
            sentence.revisions.append(_revision(sentence, action))
        connection.execute(
            actions.insert().values(
                id=action,
                description_set_id=set_id,
                kind="save",
                actor=version.author,
                note=f"version {version.version}",
                changed=len(changed) + len(fresh),
                created_at=version.created_at,
            )
        )
        if fresh:
            connection.execute(descriptions.insert(), [s.row for s, _ in fresh])
        for key, (class_position, position) in here.items():
            connection.execute(
                sentences.update()
                .where(
                    sentences.c.version_id == version.id,
                    sentences.c.class_position == class_position,
                    sentences.c.position == position,
                )
                .values(description_id=known[key].row["id"], revision=known[key].number)
            )
    for sentence in known.values():
        connection.execute(
            descriptions.update()
            .where(descriptions.c.id == sentence.row["id"])
            .values(revision=sentence.number, withdrawn=not sentence.there)
        )
    if steps := [row for sentence in known.values() for row in sentence.revisions]:
        connection.execute(revisions.insert(), steps)


def _keyed(connection: sa.Connection, version_id: str) -> Iterator[tuple[tuple[str, str, int], tuple[int, int]]]:
    """(class, text, how many of the same came before) and the place of each sentence of a version."""
    seen: Counter[tuple[str, str]] = Counter()
    query = sa.select(sentences).where(sentences.c.version_id == version_id)
    for row in connection.execute(query.order_by(sentences.c.class_position, sentences.c.position)).all():
        words = (row.class_name, row.sentence)
        yield (*words, seen[words]), (row.class_position, row.position)
        seen[words] += 1


def _begin(set_id: str, position: int, key: tuple[str, str, int], version: Any) -> tuple[_Sentence, int]:
    class_name, text, nth = key
    kind = "template" if version.source == "templates" else "file" if version.source.startswith("file:") else "person"
    row = {
        "id": new_id(),
        "description_set_id": set_id,
        "position": position,
        "class_name": class_name,
        "text": text,
        "state": "draft",
        "withdrawn": False,
        "revision": 1,
        "author_kind": kind,
        "author": version.author,
        "planted": False,
        "created_at": version.created_at,
    }
    return _Sentence(row), nth


def _revision(sentence: _Sentence, action: str) -> dict[str, Any]:
    return {
        "description_id": sentence.row["id"],
        "number": sentence.number,
        "action_id": action,
        "class_name": sentence.row["class_name"],
        "text": sentence.row["text"],
        "state": "draft",
        "withdrawn": not sentence.there,
    }


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE description_task_id IS NOT NULL")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_one_subject"), type_="check")
        jobs.drop_constraint(op.f("uq_jobs_description_task_id"), type_="unique")
        jobs.drop_constraint(op.f("fk_jobs_description_task_id_description_tasks"), type_="foreignkey")
        jobs.drop_column("description_task_id")
        jobs.create_check_constraint(op.f("ck_jobs_one_subject"), OLD_SUBJECT)
    op.drop_index(op.f("ix_description_sentences_description_id"), table_name="description_sentences")
    with op.batch_alter_table("description_sentences") as table:
        table.drop_constraint(op.f("fk_description_sentences_description_id_descriptions"), type_="foreignkey")
        table.drop_column("revision")
        table.drop_column("description_id")
    with op.batch_alter_table("description_versions") as table:
        table.drop_column("signed_at")
        table.drop_column("signed_by")
    for name in (
        "description_task_parts",
        "description_tasks",
        "description_reviews",
        "description_revisions",
        "description_actions",
        "descriptions",
    ):
        op.drop_table(name)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _key(table: str, column: str, other: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete=ondelete
    )
