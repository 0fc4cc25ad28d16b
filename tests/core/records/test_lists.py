"""Lists cost the same however much there is, and one damaged row never hides the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from core.records import classifications, descriptions, explanations, image_sets, jobs, models, runs
from core.records.ids import new_id
from core.records.session import Database
from core.records.types import now
from tests.core.records.samples import add_sample_set, add_sealed_run

Lister = Callable[..., list[dict[str, Any]]]
LISTS: dict[str, tuple[Lister, Callable[..., int]]] = {
    "image sets": (image_sets.list_image_sets, image_sets.count_image_sets),
    "description sets": (descriptions.list_description_sets, descriptions.count_description_sets),
    "runs": (runs.list_runs, runs.count_runs),
    "models": (models.list_models, models.count_models),
    "jobs": (jobs.list_jobs, jobs.count_jobs),
    "classifications": (classifications.list_classifications, classifications.count_classifications),
    "explanations": (explanations.list_explanations, explanations.count_explanations),
}


def add_one_of_each(session: Session, store: Path, name: str, size: int) -> dict[str, str]:
    """A row for every list, each with `size` rows of details behind it."""
    set_id = add_sample_set(session, store, name, per_part=size)
    add_problems(session, set_id, size)
    run_id, model_id = add_sealed_run(session, set_id, name=name)
    for version in range(size):
        author = f"author {version}"
        text_id, _ = descriptions.save_version(
            session, set_id, name, {"lesion": ["one"] * size, "calm": ["two"]}, author=author, source="api"
        )
    open_run = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
    job_id = jobs.add_job(session, open_run, name)
    images = [row["id"] for row in image_sets.list_images(session, set_id, limit=size)]
    answers = [{"image_id": each, "label": "calm", "probabilities": {"calm": 1.0}} for each in images]
    asked = classifications.add_classification(session, model_id, answers)
    result = {"maps": [{"kind": "cam", "file": "cam.png"}], "attention": [0.5] * size, "predicted": "calm"}
    explained = explanations.add_explanation(
        session, model_id=model_id, image_id=images[0], class_name="calm", seconds=1.0, folder="x", result=result
    )
    return {
        "image_sets": set_id, "description_sets": text_id, "runs": run_id, "models": model_id, "jobs": job_id,
        "classifications": asked, "explanations": explained,
    }  # fmt: skip


def add_problems(session: Session, set_id: str, count: int, first: int = 0) -> None:
    problems = [{"id": new_id(), "set": set_id, "file": f"{first + n}.png"} for n in range(count)]
    session.execute(
        text("INSERT INTO image_problems VALUES (:id, :set, :file, 'cut off', 'a whole PNG', '12 bytes')"), problems
    )


def work_of(database: Database, ask: Callable[[Session], Any]) -> tuple[int, int]:
    """How many statements a question sends, and how many rows they bring back."""
    statements: list[Any] = []

    def note(_connection: Any, cursor: Any, *_: Any) -> None:
        statements.append(cursor)

    rows = 0
    with database.reading() as session:
        engine = session.connection()
        event.listen(engine, "after_cursor_execute", note)
        result = ask(session)
        event.remove(engine, "after_cursor_execute", note)
        rows = len(result) if isinstance(result, list) else 1
    return len(statements), rows


@pytest.mark.parametrize("name", LISTS)
def test_a_page_costs_the_same_with_ten_times_as_much(database: Database, tmp_path: Path, name: str) -> None:
    lister, counter = LISTS[name]
    with database.writing() as session:
        add_one_of_each(session, tmp_path, "first", 2)
    few = work_of(database, lambda session: lister(session, limit=1)), work_of(database, counter)
    with database.writing() as session:
        for number in range(8):
            add_one_of_each(session, tmp_path, f"more {number}", 2)
        add_one_of_each(session, tmp_path, "the newest, first in every list", 20)
    assert (work_of(database, lambda session: lister(session, limit=1)), work_of(database, counter)) == few
    assert few[0][0] <= 4
    assert work_of(database, lambda session: lister(session, limit=100))[0] == few[0][0]


@pytest.mark.parametrize("name", LISTS)
def test_pages_together_are_the_whole_list_in_one_order(database: Database, tmp_path: Path, name: str) -> None:
    lister, counter = LISTS[name]
    with database.writing() as session:
        for number in range(5):
            add_one_of_each(session, tmp_path, f"set {number}", 2)
    with database.reading() as session:
        whole = [row["id"] for row in lister(session, limit=100)]
        pages = [row["id"] for start in range(0, 12, 2) for row in lister(session, limit=2, offset=start)]
        assert pages == whole
        assert len(set(whole)) == counter(session) == (10 if name == "runs" else 5)


def test_a_list_shows_no_details_and_the_record_does(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        ids = add_one_of_each(session, tmp_path, "phantoms", 3)
    with database.reading() as session:
        listed = image_sets.list_image_sets(session)[0]
        assert (listed["n_images"], listed["n_problems"], "problems" in listed) == (12, 4, False)
        assert len(image_sets.image_set_dict(session, ids["image_sets"])["problems"]) == 4
        listed = classifications.list_classifications(session)[0]
        assert (listed["n_images"], listed["n_problems"], "images" in listed) == (3, 0, False)
        assert len(classifications.classification_dict(session, ids["classifications"])["images"]) == 3
        listed = descriptions.list_description_sets(session)[0]
        assert (listed["version"], "sentences" in listed, "versions" in listed) == (3, False, False)
        assert "confusion" not in runs.list_runs(session)[0]
        assert runs.run_dict(session, ids["runs"])["confusion"] == [[2, 1], [0, 3]]
        assert "maps" not in explanations.list_explanations(session)[0]
        assert len(explanations.explanation_dict(session, ids["explanations"])["maps"]) == 1


def test_problems_come_in_pages(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        ids = add_one_of_each(session, tmp_path, "phantoms", 3)
        add_problems(session, ids["image_sets"], 197, first=3)
    with database.reading() as session:
        shown = image_sets.image_set_dict(session, ids["image_sets"])
        assert (len(shown["problems"]), shown["n_problems"]) == (80, 201)
        pages = [image_sets.list_problems(session, ids["image_sets"], 80, start) for start in (0, 80, 160)]
        assert [len(page) for page in pages] == [80, 80, 41]
        assert pages[0] == shown["problems"]
        assert len({problem["file"] for page in pages for problem in page}) == 201


def test_the_place_in_the_queue_is_told_for_a_page_alone(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        for number in range(6):
            run_id = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
            jobs.add_job(session, run_id, f"job {number}")
    with database.reading() as session:
        assert [job["queue_position"] for job in jobs.list_jobs(session, limit=2, offset=1)] == [5, 4]


# damaged rows ----------------------------------------------------------------------------------------------------

JSON_COLUMNS = {
    ("image_sets", "notes"): "image sets",
    ("runs", "options"): "runs",
    ("runs", "classes"): "models",
    ("runs", "metrics"): "runs",
    ("runs", "notes"): "runs",
    ("runs", "recipe"): "runs",
    ("jobs", "error"): "jobs",
    ("classifications", "problems"): "classifications",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, str]]]:
    """The bytes of a database with two rows in every list, and their ids by table."""
    folder = tmp_path_factory.mktemp("filled")
    database = Database(f"sqlite:///{folder / 'x.db'}")
    database.create_tables()
    with database.writing() as session:
        ids = [add_one_of_each(session, folder, f"set {number}", 2) for number in range(2)]
    database.close()
    return (folder / "x.db").read_bytes(), ids


@pytest.mark.parametrize(("place", "name"), JSON_COLUMNS.items())
@pytest.mark.parametrize(
    "value", ["{", "", "7", "nonsense", "[" * 9000], ids=["open", "none", "number", "word", "deep"]
)
def test_a_row_with_broken_json_is_listed_and_marked(
    tmp_path: Path, filled: tuple[bytes, list[dict[str, str]]], place: tuple[str, str], name: str, value: str
):
    content, ids = filled
    (tmp_path / "x.db").write_bytes(content)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.writing() as session:
        table, column = place
        session.execute(
            text(f"UPDATE {table} SET {column} = :value WHERE id = :id"), {"value": value, "id": ids[0][table]}
        )
    lister, _ = LISTS[name]
    with database.reading() as session:
        marks = [row["unreadable"] for row in lister(session, limit=100)]
    assert marks.count([column]) == 1
    assert marks.count([]) == len(marks) - 1
    database.close()


@pytest.mark.parametrize("name", LISTS)
def test_json_from_elsewhere_is_read_as_far_as_it_can_be(database: Database, tmp_path: Path, name: str) -> None:
    """Lone halves of characters (which PostgreSQL keeps in JSON as well), and NaN, which SQLite keeps."""
    bad = '{"template": "half \\ud800", "\\udfff": [1, "\\u0000"], "accuracy": NaN}'
    if database.is_postgresql:
        bad = bad.replace("NaN", "null")
    with database.writing() as session:
        add_one_of_each(session, tmp_path, "phantoms", 2)
        for table, column in (("runs", "options"), ("runs", "metrics"), ("runs", "request"), ("jobs", "error")):
            session.execute(text(f"UPDATE {table} SET {column} = :bad"), {"bad": bad})
    with database.reading() as session:
        shown = repr(LISTS[name][0](session, limit=100))
        for run in runs.list_runs(session):
            options = runs.run_dict(session, run["id"])["options"]
            assert options == {"template": "half \ufffd", "\ufffd": [1, "\ufffd"], "accuracy": None}
    assert "nan" not in shown.replace("finance", "")
    assert "\\ud800" not in shown


def test_bytes_that_are_no_text_and_moments_that_are_none_are_listed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.create_tables()
    with database.writing() as session:
        add_one_of_each(session, tmp_path, "phantoms", 2)
        tables = ("image_sets", "description_versions", "runs", "models", "jobs", "classifications", "explanations")
        for table in tables:
            session.execute(text(f"UPDATE {table} SET created_at = 'yesterday'"))
        for table, column in (("image_sets", "name"), ("runs", "name"), ("models", "name"), ("jobs", "label")):
            session.execute(text(f"UPDATE {table} SET {column} = CAST(X'61ff62' AS TEXT)"))
    with database.reading() as session:
        found = {name: lister(session, limit=100) for name, (lister, _) in LISTS.items()}
    assert all(row["created_at"] is None for rows in found.values() for row in rows)
    assert found["image sets"][0]["name"] == found["runs"][0]["name"] == found["jobs"][0]["label"] == "a\ufffdb"
    database.close()


def test_writing_after_reading_damage_does_not_touch_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.create_tables()
    with database.writing() as session:
        ids = add_one_of_each(session, tmp_path, "phantoms", 2)
        session.execute(text("UPDATE runs SET options = '{'"))
    with database.writing() as session:
        runs.find_run(session, ids["runs"]).sealed_at = now()
    with database.reading() as session:
        assert session.scalar(text("SELECT options FROM runs LIMIT 1")) == "{"
    database.close()
