from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, insert, inspect, select, text
from sqlalchemy.orm import Session

from core.errors import Conflict, Unavailable
from core.records import migrate
from core.records.ids import new_id
from core.records.session import Database
from core.records.tables import Base, JobRow, RunRow
from core.records.types import now

VALUES = {"JSON": {"b": 1, "a": [2]}, "BOOLEAN": True, "INTEGER": 7, "BIGINT": 2**40, "FLOAT": 0.5, "DOUBLE": 0.5}


def test_an_empty_database_is_made_by_itself(url: str) -> None:
    assert migrate.check(url).standing == "empty"
    migrate.prepare(url)
    assert migrate.is_current(url)
    assert migrate.current(url) == migrate.head()


def test_the_revisions_lead_exactly_to_the_tables(database: Database) -> None:
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_file_names_give_the_revisions_in_their_order() -> None:
    scripts = ScriptDirectory(str(migrate.FOLDER)).walk_revisions()
    assert [script.revision for script in scripts][::-1] == migrate._revisions()


def test_looking_does_not_make_a_file(tmp_path: Path) -> None:
    migrate.check(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_migrating_works_from_any_folder(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    migrate.upgrade(url)
    assert migrate.is_current(url)


def test_no_row_is_lost_from_the_first_revision_to_the_last(url: str, tmp_path: Path) -> None:
    migrate.upgrade(url, revision="0001")
    before = _fill_every_table(url)
    assert len(before) == 14
    assert all(len(rows) == 2 for rows in before.values())
    done = migrate.upgrade(url, backups_dir=tmp_path / "backups")
    assert (done.before, done.after) == ("0001", migrate.head())
    assert done.backup is not None
    assert done.backup.stat().st_size > 0
    after = _contents(url)
    # columns that came later stand behind the old ones
    assert {name: [new[: len(old)] for new, old in zip(after[name], before[name], strict=True)] for name in before} == (
        before
    )


def test_a_job_that_succeeded_gets_the_last_epoch_that_its_report_lost(url: str) -> None:
    migrate.upgrade(url, revision="0003")
    _fill_every_table(url)
    with migrate.migration_connection(url) as connection:
        ids = [row[0] for row in connection.execute(text("SELECT id FROM jobs ORDER BY id"))]
        for job_id, state in zip(ids, ("succeeded", "failed"), strict=True):
            changed = "UPDATE jobs SET state = :state, epoch = 99, epochs = 100 WHERE id = :id"
            connection.execute(text(changed), {"state": state, "id": job_id})
    migrate.upgrade(url, backup=False)
    with migrate.migration_connection(url) as connection:
        rows = connection.execute(text("SELECT epoch, epochs FROM jobs ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [(100, 100), (99, 100)]


def test_classes_that_older_runs_name_in_a_note_are_kept_as_known(url: str) -> None:
    migrate.upgrade(url, revision="0003")
    _fill_every_table(url)
    note = "The text side of the backbone 'embedded' has learned cyst, normal scan from labelled images: not honest."
    values = {"notes": json.dumps(["Another.", note]), "classes": json.dumps(["benign", "cyst", "normal scan"])}
    with migrate.migration_connection(url) as connection:
        first = connection.execute(text("SELECT id FROM runs ORDER BY id LIMIT 1")).scalar()
        change = "UPDATE runs SET notes = :notes, classes = :classes WHERE id = :id"
        connection.execute(text(change), values | {"id": first})
    migrate.upgrade(url, backup=False)
    database = Database(url)
    with database.reading() as session:
        known = [row.known_classes for row in session.scalars(select(RunRow).order_by(RunRow.id))]
    database.close()
    assert known == [["cyst", "normal scan"], None]


def test_older_answers_get_their_case_and_group_and_older_runs_their_precision(url: str) -> None:
    migrate.upgrade(url, revision="0007")
    _fill_every_table(url)
    with migrate.migration_connection(url) as connection:
        connection.execute(text("UPDATE models SET card = :card"), {"card": json.dumps({"precision": "bf16"})})
        connection.execute(text("UPDATE images SET group_name = 'patient 7'"))
    migrate.upgrade(url, backup=False)
    with migrate.migration_connection(url) as connection:
        answers = connection.execute(text("SELECT part, sha256, group_name FROM predictions ORDER BY run_id")).all()
        runs = connection.execute(text("SELECT protocol, share, parts, precision FROM runs")).all()
    assert [tuple(row) for row in answers] == [("test", f"text {n}", "patient 7") for n in (1, 2)]
    assert [tuple(row) for row in runs] == [("few-shot", None, None, "bf16")] * 2


def test_versions_saved_before_become_sentences_with_their_history(url: str) -> None:
    migrate.upgrade(url, revision="0008")
    wordings = [
        {"cyst": ["round", "dark", "dark"], "tumour": ["bright"]},
        {"cyst": ["round"], "tumour": ["bright", "irregular"]},
        {"cyst": ["round", "dark"], "tumour": ["irregular"]},
    ]
    with migrate.migration_connection(url) as connection:
        moment = now().isoformat(sep=" ")
        connection.execute(
            text("INSERT INTO description_sets (id, name, created_at) VALUES ('set', 'words', :at)"), {"at": moment}
        )
        for number, wording in enumerate(wordings, 1):
            connection.execute(
                text(
                    "INSERT INTO description_versions"
                    " (id, description_set_id, version, author, note, source, fingerprint, created_at)"
                    " VALUES (:id, 'set', :version, 'Ada', '', 'edited', :sum, :at)"
                ),
                {"id": f"v{number}", "version": number, "sum": "0" * 64, "at": moment},
            )
            for place, (label, texts) in enumerate(wording.items()):
                for position, sentence in enumerate(texts):
                    connection.execute(
                        text(
                            "INSERT INTO description_sentences"
                            " (version_id, class_position, position, class_name, sentence)"
                            " VALUES (:version, :place, :position, :label, :sentence)"
                        ),
                        {"version": f"v{number}", "place": place, "position": position, "label": label}
                        | {"sentence": sentence},
                    )
    migrate.upgrade(url, backup=False)
    with migrate.migration_connection(url) as connection:
        heads = connection.execute(
            text("SELECT text, withdrawn, revision, state FROM descriptions ORDER BY position")
        ).all()
        steps = connection.execute(
            text(
                "SELECT d.text, r.number, a.note, r.withdrawn FROM description_revisions r"
                " JOIN descriptions d ON d.id = r.description_id JOIN description_actions a ON a.id = r.action_id"
                " WHERE d.position = 1 ORDER BY r.number"
            )
        ).all()
        linked = connection.execute(
            text(
                "SELECT v.version, s.sentence, d.text, s.revision FROM description_sentences s"
                " JOIN description_versions v ON v.id = s.version_id JOIN descriptions d ON d.id = s.description_id"
                " ORDER BY v.version, s.class_position, s.position"
            )
        ).all()
    assert [(row[0], bool(row[1]), *row[2:]) for row in heads] == [
        ("round", False, 1, "draft"),
        ("dark", False, 3, "draft"),
        ("dark", True, 2, "draft"),
        ("bright", True, 2, "draft"),
        ("irregular", False, 1, "draft"),
    ]
    assert [(*row[:3], bool(row[3])) for row in steps] == [
        ("dark", 1, "version 1", False),
        ("dark", 2, "version 2", True),
        ("dark", 3, "version 3", False),
    ]
    assert len(linked) == sum(len(texts) for wording in wordings for texts in wording.values())
    assert all(row[1] == row[2] for row in linked)
    assert [row[3] for row in linked if row[0] == 3] == [1, 3, 1]


@pytest.mark.parametrize(
    "subjects",
    [
        {},
        {"run_id": "r", "experiment_id": "e"},
        {"experiment_id": "e", "description_task_id": "t"},
        {"run_id": "r", "explanation_batch_id": "b"},
    ],
)
def test_a_job_is_for_one_run_one_experiment_one_task_or_one_batch(
    database: Database, subjects: dict[str, str]
) -> None:
    def add(session: Session) -> None:
        session.add(JobRow(label="both or neither", **subjects))
        session.flush()

    with pytest.raises(Exception, match="ck_jobs_one_subject"):
        database.write(add)


def test_a_rebuilt_table_keeps_its_constraints(url: str) -> None:
    migrate.upgrade(url)
    database = Database(url)
    with database.reading() as session:
        found = inspect(session.connection())
        assert [check["name"] for check in found.get_check_constraints("images")] == ["ck_images_part"]
        assert len(found.get_foreign_keys("images")) == 2
    database.close()


def test_going_back_and_forth_keeps_the_older_tables(url: str) -> None:
    migrate.upgrade(url, revision="0001")
    before = _fill_every_table(url)
    migrate.upgrade(url, backup=False)
    with migrate.migration_connection(url) as connection:
        command.downgrade(migrate._config(connection), "0001")
    assert _contents(url) == before


def test_an_older_database_with_data_waits_for_its_owner(url: str) -> None:
    migrate.upgrade(url, revision="0001")
    _fill_every_table(url)
    with pytest.raises(Conflict, match=r"it has those of revision 0001 and holds data\. Run `promptoscope db upgrade`"):
        migrate.prepare(url)
    assert migrate.current(url) == "0001"


def test_an_older_database_without_data_is_migrated_by_itself(url: str) -> None:
    migrate.upgrade(url, revision="0001")
    migrate.prepare(url)
    assert migrate.is_current(url)


@pytest.mark.parametrize("act", [migrate.prepare, migrate.upgrade])
def test_a_newer_database_is_refused(url: str, act: object) -> None:
    migrate.upgrade(url)
    database = Database(url)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(
        Conflict, match=rf"knows the database up to revision {migrate.head()}; the database has revision 9999"
    ):
        act(url)  # type: ignore[operator]


def test_a_database_of_something_else_is_refused(url: str) -> None:
    database = Database(url)
    with database.writing() as session:
        session.execute(text("CREATE TABLE recipes (id INTEGER)"))
    database.close()
    with pytest.raises(Conflict, match="it has tables of its own: recipes"):
        migrate.prepare(url)


def test_two_who_upgrade_at_once_do_it_once(url: str) -> None:
    results: list[object] = []

    def go() -> None:
        try:
            results.append(migrate.upgrade(url).after)
        except Exception as error:  # shown by the assertion below
            results.append(error)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [migrate.head()] * 2


def test_a_backup_of_sqlite_is_a_whole_private_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate.upgrade(url)
    filled = _fill_every_table(url)
    copy = migrate.back_up(url)
    assert copy.parent == tmp_path / "backups"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _contents(f"sqlite:///{copy}") == filled
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.postgres
def test_postgresql_with_data_is_not_touched_without_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.core.records.databases import database_url

    with database_url("postgresql", tmp_path) as url:
        migrate.upgrade(url, revision="0001")
        _fill_every_table(url)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="pg_dump is not installed here"):
            migrate.upgrade(url, backups_dir=tmp_path)
        assert migrate.current(url) == "0001"
        assert migrate.upgrade(url, backup=False).after == migrate.head()


def test_alembic_itself_finds_the_revisions(tmp_path: Path) -> None:
    ini = migrate.FOLDER / "alembic.ini"
    environment = os.environ | {"PROMPTOSCOPE_HOME": str(tmp_path)}
    environment.pop("PROMPTOSCOPE_DATABASE_URL", None)
    program = [os.sys.executable, "-m", "alembic", "-c", str(ini), "upgrade", "head"]  # type: ignore[attr-defined]
    subprocess.run(program, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert migrate.is_current(f"sqlite:///{tmp_path / 'promptoscope.db'}")


def _fill_every_table(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Two rows in every table, those that refer to others referring to the row of the same number."""
    database = Database(url)
    with database.writing() as session:
        tables = MetaData()
        tables.reflect(session.connection())
        ids: dict[tuple[str, int], str] = {}
        for table in tables.sorted_tables:
            if table.name == migrate.VERSION_TABLE:
                continue
            for number in (1, 2):
                row = {}
                for column in table.columns:
                    row[column.name] = _value(column, number, ids)
                ids[table.name, number] = str(row.get("id", ""))
                session.execute(insert(table), row)
    database.close()
    return _contents(url)


def _value(column: object, number: int, ids: dict[tuple[str, int], str]) -> object:
    known = {
        "source": "demo",
        "part": "test",
        "role": "train",
        "author_kind": "model",
        "decision": "approve",
        "whose": "authors",
    }
    if column.table.name == "description_tasks":  # type: ignore[attr-defined]
        known |= {"kind": "write"}
    state = {"jobs": "queued", "attempts": "running", "experiment_cells": "waiting"} | dict.fromkeys(
        ("descriptions", "description_revisions"), "draft"
    )
    state["description_task_parts"] = "waiting"
    others = {"experiment_id", "description_task_id", "explanation_batch_id"}
    if column.table.name == "jobs" and column.name in others:  # type: ignore[attr-defined]
        return None  # a job is for one run, experiment, task or batch, never for two
    for key in column.foreign_keys:  # type: ignore[attr-defined]
        parent = key.column.table.name
        return ids.get((parent, number))
    if column.name == "id":  # type: ignore[attr-defined]
        return new_id()
    if column.name == "state":  # type: ignore[attr-defined]
        return state[column.table.name]  # type: ignore[attr-defined]
    kind = str(column.type).split("(")[0].split()[0]  # type: ignore[attr-defined]
    if kind in {"TIMESTAMP", "DATETIME"}:
        return now().replace(tzinfo=None) if kind == "DATETIME" else now()
    if kind in VALUES:
        return number if kind == "INTEGER" else VALUES[kind]
    return known.get(column.name, f"text {number}")  # type: ignore[attr-defined]


def _contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database(url)
    with database.reading() as session:
        tables = MetaData()
        tables.reflect(session.connection())
        found = {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in tables.sorted_tables
            if table.name != migrate.VERSION_TABLE
        }
    database.close()
    return found
