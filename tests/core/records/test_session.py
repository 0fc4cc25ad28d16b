from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from core.errors import InvalidInput, NotFound, Unavailable
from core.records.ids import new_id
from core.records.session import Database, memory_database, read_url
from core.records.tables import AuditEntryRow, ImageClassRow, ImageSetRow
from core.records.types import iso, json_text


def a_set(name: str) -> ImageSetRow:
    return ImageSetRow(name=name, source="demo", fingerprint="0" * 64)


def test_ids_have_26_characters_and_ascend() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", each) for each in ids)


def test_numbers_that_are_not_finite_become_null_in_json() -> None:
    assert json_text({"a": [float("nan"), 1.5], "b": float("inf")}) == '{"a": [null, 1.5], "b": null}'


def test_writing_commits_at_its_end_and_rows_stay_readable(database: Database) -> None:
    with database.writing() as session:
        row = a_set("one")
        session.add(row)
    assert row.name == "one"
    with database.reading() as session:
        assert session.scalars(select(ImageSetRow.name)).all() == ["one"]


def test_an_error_undoes_the_whole_writing(database: Database) -> None:
    orphan = ImageClassRow(image_set_id="nowhere", label=0, name="x")
    with pytest.raises(NotFound, match="deleted in the same moment"), database.writing() as session:  # noqa: PT012
        session.add(a_set("one"))
        session.flush()
        session.add(orphan)
    with database.reading() as session:
        assert session.scalars(select(ImageSetRow.name)).all() == []


def test_reading_refuses_to_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"), database.reading() as session:
        session.execute(text("DELETE FROM image_sets"))


def test_a_writer_that_waits_too_long_is_told_so(database: Database) -> None:
    hasty = Database(database.url, wait_s=0.3)
    with database.writing() as session:
        session.execute(text("LOCK TABLE image_sets" if database.is_postgresql else "DELETE FROM image_sets"))
        with pytest.raises(Unavailable) as refused, hasty.writing() as other:  # noqa: PT012
            other.add(a_set("one"))
            other.flush()
    assert refused.value.retry_after_s == 5
    hasty.close()


def test_a_lock_is_waited_for_as_long_as_asked(database: Database) -> None:
    hasty = Database(database.url, wait_s=0.3)
    with hasty.reading() as session:
        ask = "SHOW lock_timeout" if database.is_postgresql else "PRAGMA busy_timeout"
        assert str(session.scalar(text(ask))).removesuffix("ms") == "300"
    hasty.close()


def test_reading_sees_one_moment(database: Database) -> None:
    with database.reading() as session:
        assert session.scalars(select(ImageSetRow.name)).all() == []
        other = Database(database.url)
        with other.writing() as writer:
            writer.add(a_set("late"))
        other.close()
        assert session.scalars(select(ImageSetRow.name)).all() == []


def test_a_writing_session_does_not_nest(database: Database) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="pass that session on"), database.writing():
        pass


def test_moments_come_back_in_utc(database: Database) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    with database.writing() as session:
        session.add(AuditEntryRow(actor="a", action="b", noun="run", noun_id="1", at=moment))
    with database.reading() as session:
        found = session.scalars(select(AuditEntryRow.at)).one()
    assert found == moment
    assert iso(found) == "2026-01-31T12:00:00.123456+00:00"


def test_a_hidden_parameter_stays_out_of_error_texts(database: Database) -> None:
    with pytest.raises(NotFound) as caught, database.writing() as session:
        session.add(ImageClassRow(image_set_id="nowhere", label=0, name="name of a patient"))
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert "name of a patient" not in str(caught.value.__cause__).split("DETAIL")[0]
    assert "name of a patient" not in caught.value.sentence


def test_many_writers_that_read_first_all_get_through(database: Database) -> None:
    with database.writing() as session:
        session.add(a_set("0"))

    def count_up() -> None:
        for _ in range(5):
            with database.writing() as session:
                row = session.scalars(select(ImageSetRow).with_for_update()).one()
                row.name = str(int(row.name) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.scalars(select(ImageSetRow.name)).one() == "30"


def test_a_sqlite_file_is_opened_with_wal_and_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'a.db'}")
    with database.reading() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
        assert session.scalar(text("PRAGMA synchronous")) == 2
    database.close()


def test_a_database_in_memory_serves_several_threads() -> None:
    database = memory_database()

    def add(name: str) -> None:
        with database.writing() as session:
            session.add(a_set(name))

    threads = [threading.Thread(target=add, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert len(session.scalars(select(ImageSetRow)).all()) == 8


def test_a_database_that_is_not_there_is_told_in_a_sentence() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/none?connect_timeout=2")
    with (
        pytest.raises(Unavailable, match="The database answers and has room; it said") as caught,
        database.reading() as s,
    ):
        s.execute(text("SELECT 1"))
    assert "secret" not in caught.value.sentence


def test_postgresql_means_psycopg() -> None:
    assert read_url("postgres://a@b/c").drivername == "postgresql+psycopg"
    assert read_url("postgresql+psycopg2://a@b/c").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("bad", ["mysql://a@b/c", "nothing"])
def test_another_kind_of_database_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="names an SQLite or a PostgreSQL database"):
        read_url(bad)
