"""The job of a batch of explanations: every measure once, through cancelling, kill -9 and deleted models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.explain import batch as engine
from core.images.phantoms import make_phantoms
from core.images.read import read_image_set
from core.records import explanation_batches as batches
from core.records import image_sets, jobs, models, runs
from core.records.session import Database
from core.records.tables import ExplanationBatchModelRow
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from training_jobs import batch_job, job_queue, run_job
from training_jobs.reporter import Reporter
from training_jobs.run_job import CANCELLED, DONE, GIVEN_BACK, Terminated

CONDITIONS = ["C1", "C4", "C6"]
KEYS = ["C0:0", "C1:2", "C4:2", "C6:2"]


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantoms(tmp_path_factory.mktemp("batch") / "phantoms", per_class=(2, 2), size_px=64)


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 3)
    return settings.model_copy(update={"allow_folders": True})


@pytest.fixture
def stored(database: Database, settings: Settings, phantoms: Path) -> dict[str, Any]:
    """{image_set, model}: an image set with masks and a model of the tiny backbone."""
    found = read_image_set(phantoms, name="phantoms", store_dir=settings.images_dir)
    with database.writing() as session:
        image_sets.add_image_set(session, found, source="demo", store=settings.images_dir)
        asked = runs.RunRequest("phantoms", "zero_shot", backbone=str(tiny_backbone_folder()), shots=1)
        job_queue.enqueue(session, runs.add_run(session, asked), asked.label)
    assert work(database, settings) == DONE
    with database.reading() as session:
        return {
            "image_set": image_sets.image_set_dict(session, "phantoms"),
            "model": models.list_models(session, 1, 0)[0],
        }


def order(database: Database, stored: dict[str, Any], n_models: int = 1, **settings: Any) -> tuple[str, str]:
    """A batch whose job waits: (batch, job)."""
    asked = {"vectors": [2], "conditions": CONDITIONS, "draws": 2} | settings
    with database.writing() as session:
        n = image_sets.count_images(session, stored["image_set"]["id"], part="test")
        batch_id = batches.add_batch(
            session,
            image_set=stored["image_set"],
            part="test",
            n_images=n,
            settings=asked,
            models=[stored["model"]] * n_models,
        )
        return batch_id, job_queue.enqueue_batch(session, batch_id, "phantoms: a model")


def claim(database: Database) -> tuple[str, int]:
    with database.writing() as session:
        found = job_queue.claim(session, executor="local", host="here", slots=9)
    assert found is not None
    return found.job_id, found.fence


def work(database: Database, settings: Settings) -> int:
    return run_job.run_job(*claim(database), settings=settings)


def batch_of(database: Database, batch_id: str) -> dict[str, Any]:
    with database.reading() as session:
        return batches.batch_dict(session, batch_id)


def rows_of(database: Database, batch_id: str, **asked: Any) -> list[dict[str, Any]]:
    with database.reading() as session:
        return batches.list_measures(session, batch_id, **asked)


def test_every_image_is_measured_under_every_condition_and_summed_up(
    database: Database, settings: Settings, stored: dict[str, Any]
) -> None:
    batch_id, job_id = order(database, stored, n_models=2)
    assert work(database, settings) == DONE
    found, rows = batch_of(database, batch_id), rows_of(database, batch_id)
    n = found["n_images"]
    assert (found["n_rows"], len(rows), found["n_left_out"]) == (2 * n * len(KEYS), 2 * n * len(KEYS), 0)
    assert {row["key"] for row in rows} == set(KEYS)
    first, second = found["models"]
    assert [each["key"] for each in first["plan"]["conditions"]] == KEYS
    assert [summary["key"] for summary in first["summaries"]] == KEYS
    beside = [summary.pop("against_model") for summary in second["summaries"]]
    assert first["summaries"] == second["summaries"]
    assert {each["change"]["mean"] for each in beside if each and each["change"]} == {0.0}
    plain, zeros = first["summaries"][:2]
    assert zeros["difference"] == pytest.approx(zeros["units_term"] + zeros["within_term"])
    own = [row for row in rows if row["key"] == "C1:2" and row["model_position"] == 0]
    lesions = [row["difference"] for row in own if row["difference"] is not None]
    assert zeros["n"] == len(lesions) == n - n // 4
    assert zeros["difference"] == pytest.approx(sum(lesions) / len(lesions))
    assert plain["difference"] is None
    assert zeros["sentence"].endswith(".")
    assert zeros["log_odds_change"]["n"] == n
    assert first["plan"]["calibrated_on"] > 0
    with database.reading() as session:
        job = jobs.job_dict(session, job_id)
        ids = set(image_sets.image_ids(session, stored["image_set"]["id"]))
    assert {row["image_id"] for row in rows} < ids
    assert (job["state"], job["kind"], job["explanation_batch_id"]) == ("succeeded", "explain", batch_id)
    assert (job["done"], job["total"], job["note"]) == (2 * n * 4, 2 * n * 4, f"{2 * n * 4} measures.")
    assert job["image_set"]["name"] == "phantoms"


def test_the_rows_are_those_of_the_engine(database: Database, settings: Settings, stored: dict[str, Any]) -> None:
    from core.explain.batch_images import calibration_images, images_of_part
    from core.tuning.classifier import load_model

    batch_id, _ = order(database, stored)
    assert work(database, settings) == DONE
    with database.reading() as session:
        images = image_sets.load_image_set(session, "phantoms", settings.images_dir)
        asked = batch_job.settings_of(batches.find_batch(session, batch_id))
    model = load_model(settings.models_dir / stored["model"]["folder"], home=settings.home)
    plan = engine.plan_batch(model, asked, calibration_images(images, "test"))
    expected = {
        (row["image"], row["key"]): row for row in engine.run_batch(model, images_of_part(images, "test"), plan)
    }
    for row in rows_of(database, batch_id):
        other = expected.pop((row["image"], row["key"]))
        for name in ("lesion_share", "difference", "hit", "log_odds_change", "title", "draws"):
            assert row[name] == (
                pytest.approx(other[name], abs=1e-6) if isinstance(other[name], float) else other[name]
            )
    assert not expected


def test_a_job_that_was_killed_goes_on_from_what_is_measured(
    database: Database, settings: Settings, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id, job_id = order(database, stored)
    environment = os.environ | {
        "PROMPTOSCOPE_HOME": str(settings.home),
        "PROMPTOSCOPE_DATABASE_URL": settings.database,
        "PROMPTOSCOPE_ALLOW_FOLDERS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    held_id, fence = claim(database)
    command = [sys.executable, "-m", "tests.training_jobs.held_batch", held_id, "--token", str(fence)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while batch_of(database, batch_id)["n_rows"] < 9:
            assert process.poll() is None, "the job ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = {(row["image"], row["key"]): row for row in rows_of(database, batch_id)}
    n = batch_of(database, batch_id)["n_images"]
    assert 9 <= len(before) < n * len(KEYS)
    with database.writing() as session:
        job_queue.lose(session, job_id, fence, "The job's process died (signal 9)")
    passes: list[int] = []
    real = engine.observe
    monkeypatch.setattr(engine, "observe", lambda *given: passes.append(len(given[1])) or real(*given))
    monkeypatch.setattr(engine, "calibrate", lambda *_: pytest.fail("the calibration was made again"))
    assert work(database, settings) == DONE
    after = {(row["image"], row["key"]): row for row in rows_of(database, batch_id)}
    assert len(after) == n * len(KEYS)
    assert {place: after[place] for place in before} == before
    all_passes = -(-n // 3) * (1 + 1 + 2 + 1)
    assert len(passes) <= all_passes - 3
    assert batch_of(database, batch_id)["models"][0]["summaries"][1]["n"] == n - n // 4


def test_a_cancelled_job_keeps_its_rows_and_goes_on_when_asked(
    database: Database, settings: Settings, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id, job_id = order(database, stored)
    real = batches.keep_measures

    def keep_and_cancel(session: Any, *given: Any) -> None:
        real(session, *given)
        jobs.request_cancel(session, job_id)

    monkeypatch.setattr(batches, "keep_measures", keep_and_cancel)
    monkeypatch.setattr(Reporter, "raise_if_stopped", lambda self: self.flush() or _raise(self))
    taken, fence = claim(database)
    assert run_job.run_job(taken, fence, settings=settings) == CANCELLED
    with database.writing() as session:
        job_queue.finish_cancelled(session, job_id, fence)
    assert batch_of(database, batch_id)["n_rows"] == 3
    assert batch_of(database, batch_id)["finished_at"] is None
    monkeypatch.setattr(batches, "keep_measures", real)
    with database.writing() as session:
        job_queue.retry(session, job_id)
    assert work(database, settings) == DONE
    assert batch_of(database, batch_id)["n_rows"] == batch_of(database, batch_id)["n_images"] * len(KEYS)


def _raise(reporter: Reporter) -> None:
    if reporter._stop is not None:
        raise reporter._stop


def test_a_job_told_to_stop_waits_for_the_next_process(
    database: Database, settings: Settings, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> None:
        raise Terminated

    _, job_id = order(database, stored)
    with monkeypatch.context() as patched:
        patched.setattr(batches, "keep_measures", end)
        assert work(database, settings) == GIVEN_BACK
    assert work(database, settings) == DONE
    with database.reading() as session:
        assert [each["state"] for each in jobs.job_dict(session, job_id)["attempts"]] == ["interrupted", "succeeded"]


def test_a_model_that_was_deleted_is_named(database: Database, settings: Settings, stored: dict[str, Any]) -> None:
    batch_id, job_id = order(database, stored)
    with database.writing() as session:
        models.delete_model(session, stored["model"]["id"])
    assert work(database, settings) == DONE
    with database.reading() as session:
        job = jobs.job_dict(session, job_id)
    assert job["state"] == "failed"
    assert stored["model"]["name"] in job["error"]["message"]
    assert batch_of(database, batch_id)["models"][0]["id"] is None


def test_images_are_not_deleted_under_a_job_and_numbers_stay_when_they_go_later(
    database: Database, settings: Settings, stored: dict[str, Any]
) -> None:
    from core.errors import Conflict

    batch_id, _ = order(database, stored)

    def delete() -> None:
        with database.writing() as session:
            image_sets.delete_image_set(session, "phantoms")

    with pytest.raises(Conflict, match="1 queued or running job does"):
        delete()
    with database.writing() as session, pytest.raises(Conflict, match="it is queued"):
        batches.delete_batch(session, batch_id)
    assert work(database, settings) == DONE
    delete()
    found = batch_of(database, batch_id)
    assert found["image_set"] == {"id": None, "name": "phantoms"}
    assert found["n_rows"] == found["n_images"] * len(KEYS)
    assert {row["image_id"] for row in rows_of(database, batch_id)} == {None}
    with database.writing() as session:
        batches.delete_batch(session, batch_id)
    with database.reading() as session:
        assert session.query(ExplanationBatchModelRow).count() == 0
        assert batches.count_measures(session, batch_id) == 0


def test_known_patients_give_ranges_by_patient_and_by_image() -> None:
    from core.explain.batch import BatchSettings

    def row(at: int, key: str, difference: float) -> dict[str, Any]:
        share = {"lesion_share": 0.2, "background_share": 0.8, "difference": difference, "raw_difference": difference}
        words = {"key": key, "condition": key[:2], "vectors": int(key[3:]), "title": key, "draws": 1}
        numbers = dict.fromkeys((*_MEANS, "units_term", "within_term", "hit", "hit_half", "hit_chance", "right"), 0.5)
        more = {"log_odds_change": 0.1, "difference_sd": None}
        return {"image": f"{at}.png", "class": "a", "group": f"p{at // 10}", **numbers, **more, **words, **share}

    rows = [row(at, "C0:0", 0.0) for at in range(40)] + [row(at, "C1:4", (at // 10) / 100) for at in range(40)]
    found = batch_job.summaries_of(rows, BatchSettings(), ["C0:0", "C1:4"], {})
    by_patient, by_image = found[1], found[1]["by_image"]
    assert (by_patient["groups"], by_image["groups"]) == (4, None)
    assert by_patient["difference"] == pytest.approx(by_image["difference"]) == pytest.approx(0.015)
    assert by_patient["high"] - by_patient["low"] > 2 * (by_image["high"] - by_image["low"])


_MEANS = (
    "raw_lesion_share",
    "written_share",
    "enrichment",
    "vectors_share",
    "class_token_share",
    "patches_share",
    "entropy",
    "effective_patches",
    "answer_changed",
)
