from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidInput, NotFound
from core.explain.parts import RULES
from core.records import classifications, explanations, image_sets, jobs, runs
from core.records.contents import unreferenced
from core.records.session import Database
from core.records.tables import ImageRow
from tests.core.records.samples import add_sample_set, add_sealed_run, image_set


@contextmanager
def counted_queries(session: Session) -> Iterator[list[str]]:
    """The statements sent while this is open."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_an_image_set_comes_back_as_it_was(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
    with database.reading() as session:
        found = image_sets.load_image_set(session, set_id, tmp_path)
        assert [image.masks for image in found.images if image.name == "test/lesion/0.png"] == [
            (tmp_path / "mask.png",)
        ]
        assert replace(found, images=tuple(replace(image, masks=()) for image in found.images)) == image_set(tmp_path)
        assert image_sets.load_image_set(session, "phantoms", tmp_path).fingerprint == image_set(tmp_path).fingerprint


def test_an_image_set_is_told_with_counts_and_problems(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
    with database.reading() as session:
        found = image_sets.image_set_dict(session, "phantoms")
    found.pop("created_at")
    assert found == {
        "id": set_id,
        "name": "phantoms",
        "modality": "drawn scan",
        "source": "demo",
        "drawn": True,
        "fingerprint": image_set(tmp_path).fingerprint,
        "n_images": 12,
        "classes": [
            {"name": "lesion", "label": 0, "train": 3, "val": 0, "test": 3},
            {"name": "calm", "label": 1, "train": 3, "val": 0, "test": 3},
        ],
        "problems": [{"file": "broken.png", "problem": "cut off", "expected": "a whole PNG", "found": "12 bytes"}],
        "n_problems": 1,
        "notes": ["A test part was held out."],
        "unreadable": [],
    }


def test_a_name_is_given_once(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        add_sample_set(session, tmp_path)
    with pytest.raises(Conflict, match="'phantoms' exists already"), database.writing() as session:
        add_sample_set(session, tmp_path)


def test_a_file_outside_the_store_is_not_recorded(database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Recorded files lie in the home folder"), database.writing() as session:
        image_sets.add_image_set(session, image_set(tmp_path / "a"), source="folder", store=tmp_path / "b")


def test_images_are_listed_by_class_part_and_page(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
    with database.reading() as session:
        page = image_sets.list_images(session, set_id, class_name="lesion", part="test", offset=1, limit=1)
        assert [image["name"] for image in page] == ["test/lesion/1.png"]
        assert page[0] | {"id": ""} == {
            "id": "",
            "image_set_id": set_id,
            "name": "test/lesion/1.png",
            "class": "lesion",
            "part": "test",
            "group": "patient 1",
            "width": 64,
            "height": 48,
            "sha256": "0test1".ljust(64, "0"),
            "has_mask": False,
            "windowing": None,
            "findings": [],
        }
        assert image_sets.count_images(session, set_id, class_name="lesion", part="test") == 3
        with pytest.raises(InvalidInput, match="A part is one of train, val, test; found 'tests'"):
            image_sets.list_images(session, set_id, part="tests")


def test_a_stored_file_names_image_and_mask(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        first = image_sets.list_images(session, set_id, part="test", limit=1)[0]
        stored = image_sets.stored_file(session, first["id"])
    assert (stored.file, stored.mask, first["has_mask"]) == ("0test0.png", "mask.png", True)


@pytest.mark.parametrize("ask", [image_sets.image_set_dict, image_sets.image_dict, image_sets.stored_file])
def test_what_does_not_exist_is_not_found(database: Database, ask: object) -> None:
    with database.reading() as session, pytest.raises(NotFound, match="'nothing' is none"):
        ask(session, "nothing")  # type: ignore[operator]


def test_lists_need_the_same_queries_however_long_they_are(database: Database, tmp_path: Path) -> None:
    counts = []
    for number in range(1, 7):
        with database.writing() as session:
            set_id = add_sample_set(session, tmp_path, f"set {number}")
            add_sealed_run(session, set_id)
        with database.reading() as session, counted_queries(session) as seen:
            assert len(image_sets.list_image_sets(session)) == number
            assert len(runs.list_runs(session)) == number
            counts.append(len([each for each in seen if each.startswith("SELECT")]))
    assert set(counts) == {5}


def test_thousands_of_images_are_recorded_at_once(database: Database, tmp_path: Path) -> None:
    with database.writing() as session, counted_queries(session) as seen:
        set_id = add_sample_set(session, tmp_path, per_part=1000)
    assert len(seen) < 20
    with database.reading() as session:
        assert session.scalar(select(func.count(ImageRow.id)).where(ImageRow.image_set_id == set_id)) == 4000
        loaded = image_sets.load_image_set(session, set_id, tmp_path)
    assert loaded.fingerprint == image_set(tmp_path, per_part=1000).fingerprint


def test_a_deleted_set_leaves_its_sealed_runs(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id, _ = add_sealed_run(session, set_id)
    with database.writing() as session:
        files = image_sets.delete_image_set(session, "phantoms")
    assert len(files) == 13
    assert "images/mask.png" in files
    with database.reading() as session:
        run = runs.run_dict(session, run_id)
        assert run["image_set"] == {"id": None, "name": "phantoms"}
        assert run["image_set_fingerprint"] == image_set(tmp_path).fingerprint
        assert runs.list_predictions(session, run_id)[0]["image_id"] is None
        assert session.scalar(select(func.count(ImageRow.id))) == 0


def test_files_that_another_set_uses_stay(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        add_sample_set(session, tmp_path, "one")
        add_sample_set(session, tmp_path, "two")
        paths = image_sets.delete_image_set(session, "one")
        assert (len(paths), unreferenced(session, paths)) == (13, [])
        assert image_sets.delete_image_set(session, "two") == paths
        assert unreferenced(session, paths) == sorted(paths)


def test_a_set_in_use_is_not_deleted(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
        jobs.add_job(session, run_id, "coop")
    with pytest.raises(Conflict, match="1 queued or running job does"), database.writing() as session:
        image_sets.delete_image_set(session, set_id)


def test_a_classification_keeps_order_and_goes_with_its_images(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        _, model_id = add_sealed_run(session, set_id)
        loose = [
            {"name": f"{n}.png", "sha256": str(n) * 64, "file": f"{n}.png", "width": 8, "height": 8} for n in (3, 1, 2)
        ]
        ids = image_sets.add_loose_images(session, loose)
        answers = [{"image_id": i, "label": "calm", "probabilities": {"lesion": 0.1, "calm": 0.9}} for i in ids]
        problem = {"file": "x.txt", "problem": "no image", "expected": "an image", "found": "text"}
        made = classifications.add_classification(session, model_id, answers, [problem])
        explanation = explanations.add_explanation(
            session,
            model_id=model_id,
            image_id=ids[0],
            class_name="calm",
            seconds=0.5,
            folder="explanations/x",
            result={
                "maps": [{"kind": "grad_cam"}],
                "predicted": "calm",
                "rules": RULES,
                "pending": ["trust", "what_if"],
            },
        )
    with database.reading() as session:
        found = classifications.classification_dict(session, made)
        assert [image["file"] for image in found["images"]] == ["3.png", "1.png", "2.png"]
        assert list(found["images"][0]["probabilities"]) == ["lesion", "calm"]
        assert found["problems"] == [problem]
        listed = classifications.list_classifications(session, model_id)
        assert listed == [
            {name: value for name, value in found.items() if name not in {"images", "problems", "description_version"}}
        ]
        assert (listed[0]["n_images"], listed[0]["n_problems"]) == (3, 1)
        assert image_sets.image_dict(session, ids[0])["class"] is None
        told = explanations.explanation_dict(session, explanation)
        assert (told["class"], told["maps"], told["seconds"]) == ("calm", [{"kind": "grad_cam"}], 0.5)
        for asked in ("calm", None):
            assert explanations.find_same_explanation(session, model_id, ids[0], asked) == explanation
        assert explanations.find_same_explanation(session, model_id, ids[0], "lesion") is None
    for value in ({"faithful": True}, {"faithful": False}):
        with database.writing() as session:
            explanations.complete_explanation(session, explanation, "trust", value, 0.25)
    with database.reading() as session:
        told = explanations.explanation_dict(session, explanation)
        assert (told["trust"], told["pending"], told["seconds"]) == ({"faithful": True}, ["what_if"], 0.75)
    with database.writing() as session:
        paths = classifications.delete_classification(session, made)
        assert sorted(paths) == ["explanations/x", "images/1.png", "images/2.png", "images/3.png"]
        assert unreferenced(session, paths) == sorted(paths)
        assert explanations.list_explanations(session) == []
