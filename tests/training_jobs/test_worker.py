from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.records import jobs, models, runs
from core.records.session import Database
from core.settings import Settings
from tests.training_jobs.conftest import submit
from training_jobs.executors.local import LocalExecutor
from training_jobs.job_log import job_folder, read_log
from training_jobs.processes import group_members, started
from training_jobs.run_job import SUPERSEDED
from training_jobs.worker import Worker

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "tests.training_jobs.slow_job")
PATIENCE_S = 120
WORKER = """
import sys, threading
from core.records.session import Database
from core.settings import Settings
from training_jobs.executors.local import LocalExecutor
from training_jobs.worker import Worker
settings = Settings()
executor = LocalExecutor(settings, slots=1, command=(sys.executable, "-m", "tests.training_jobs.slow_job"))
Worker(Database(settings.database), executor, poll_s=0.05).run(threading.Event())
"""


class Bench:
    """A worker with the slow training, driven tick by tick."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        self.worker = self.fresh_worker()

    def fresh_worker(self, **options: Any) -> Worker:
        executor = LocalExecutor(self.settings, slots=1, command=COMMAND)
        return Worker(self.database, executor, poll_s=0.05, **options)

    def job(self, job_id: str) -> dict[str, Any]:
        with self.database.reading() as session:
            return jobs.job_dict(session, job_id)

    def until(self, job_id: str, holds: Callable[[dict[str, Any]], bool], tick: bool = True) -> dict[str, Any]:
        """Let the worker look until the job is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if tick:
                self.worker.tick()
            found = self.job(job_id)
            if holds(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"it stayed {self.job(job_id)}\n{read_log(self.settings, job_id)}")

    def until_state(self, job_id: str, state: str) -> dict[str, Any]:
        return self.until(job_id, lambda job: job["state"] == state)

    def until_epoch(self, job_id: str, epoch: int, attempt: int = 1) -> int:
        """Wait for an epoch of an attempt; returns its pid."""
        found = self.until(
            job_id, lambda job: len(job["attempts"]) == attempt and job["stage"] == "training" and job["epoch"] >= epoch
        )
        return int(found["attempts"][-1]["pid"])


@pytest.fixture
def bench(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    made = Bench(database, settings)
    yield made
    with database.reading() as session:
        left = [pid for job in jobs.list_jobs(session) for each in job["attempts"] if (pid := each["pid"])]
    for pid in left:
        for member in group_members(pid, None):
            os.kill(member, signal.SIGKILL)


def test_a_job_becomes_a_sealed_run_with_a_model(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 30})
    found = bench.until_state(job_id, "succeeded")
    with bench.database.reading() as session:
        run = runs.run_dict(session, found["run_id"])
        model = models.model_dict(session, run["model_id"])
        predictions = runs.list_predictions(session, run["id"])
    assert (found["stage"], found["epoch"], found["epochs"], found["error"]) == ("training", 30, 30, None)
    assert [each["state"] for each in found["attempts"]] == ["succeeded"]
    assert run["state"] == "succeeded"
    assert run["metrics"]["accuracy"] == 0.75
    assert [each["epoch"] for each in run["epoch_metrics"]] == list(range(1, 31))
    assert (len(predictions), predictions[0]["file"]) == (6, "test/lesion/0.png")
    assert all(each["image_id"] for each in predictions)
    assert (model["folder"], model["calibrated"]) == (run["id"], True)
    assert model["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert not (job_folder(bench.settings, job_id) / "checkpoint").exists()
    log = read_log(bench.settings, job_id)
    assert "epoch 30 of 30, loss 0.0333333" in log
    assert ".png" not in log


def test_a_killed_training_goes_on_from_its_last_epoch(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 8, "hold_at": 2, "child": True})
    pid = bench.until_epoch(job_id, 2)
    os.kill(pid, signal.SIGKILL)
    found = bench.until_state(job_id, "succeeded")
    assert [each["state"] for each in found["attempts"]] == ["lost", "succeeded"]
    assert found["attempts"][0]["error"]["message"] == (
        "The job's process died (signal 9, often a lack of memory). It is tried again from its last finished epoch."
    )
    assert group_members(pid, None) == []
    with bench.database.reading() as session:
        run = runs.run_dict(session, found["run_id"])
    assert run["notes"] == ["from epoch 3"]
    assert [each["epoch"] for each in run["epoch_metrics"]] == list(range(1, 9))


def test_a_training_killed_three_times_has_failed(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 100000, "epoch_s": 0.05})
    for attempt in (1, 2, 3):
        os.kill(bench.until_epoch(job_id, 1, attempt), signal.SIGKILL)
        bench.until(job_id, lambda job, n=attempt: job["attempts"][n - 1]["state"] == "lost")  # type: ignore[misc]
    found = bench.job(job_id)
    assert found["state"] == "failed"
    assert found["error"]["message"].startswith("The job's process died (signal 9, often a lack of memory), as 2")
    with bench.database.reading() as session:
        assert runs.run_dict(session, found["run_id"])["metrics"] is None


def test_a_killed_worker_leaves_its_job_to_the_next(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 4, "hold_at": 1})
    environment = os.environ | {
        "PROMPTOSCOPE_HOME": str(bench.settings.home),
        "PROMPTOSCOPE_DATABASE_URL": bench.settings.database,
    }
    worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)
    bench.until(job_id, lambda job: (job["epoch"] or 0) >= 1, tick=False)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    pid = bench.job(job_id)["attempts"][0]["pid"]
    name = started(pid)
    bench.worker.tick()
    assert bench.job(job_id)["state"] == "running"
    assert started(pid) == name
    (job_folder(bench.settings, job_id) / "checkpoint" / "go").touch()
    found = bench.until_state(job_id, "succeeded")
    assert [(each["pid"], each["state"]) for each in found["attempts"]] == [(pid, "succeeded")]


def test_an_adopted_training_that_dies_is_tried_again(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 6, "hold_at": 1})
    pid = bench.until_epoch(job_id, 1)
    bench.worker = bench.fresh_worker()
    bench.worker.tick()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    found = bench.until_state(job_id, "succeeded")
    assert [each["state"] for each in found["attempts"]] == ["lost", "succeeded"]
    assert "how is not known, because its worker had stopped before" in found["attempts"][0]["error"]["message"]


def test_a_silent_training_is_stopped_and_tried_again(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 6, "hold_at": 1})
    pid = bench.until_epoch(job_id, 1)
    os.kill(pid, signal.SIGSTOP)
    bench.worker._stale_after_s = 1.0
    bench.until(job_id, lambda job: job["attempts"][0]["state"] == "lost")
    bench.worker._stale_after_s = 60.0
    assert group_members(pid, None) == []
    found = bench.until_state(job_id, "succeeded")
    assert "gave no sign of life for 1 s" in found["attempts"][0]["error"]["message"]


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancelling_leaves_no_process(bench: Bench, stubborn: bool) -> None:
    options = {"epochs": 1000, "epoch_s": 30 if stubborn else 0.1, "child": True, "ignore_term": stubborn}
    bench.worker = bench.fresh_worker(grace_s=0.5)
    job_id = submit(bench.database, bench.settings, options=options)
    found = bench.until(job_id, lambda job: job["stage"] is not None)
    pid = found["attempts"][0]["pid"]
    assert len(group_members(pid, None)) == 2
    with bench.database.writing() as session:
        jobs.request_cancel(session, job_id)
    found = bench.until_state(job_id, "cancelled")
    assert group_members(pid, None) == []
    assert [each["state"] for each in found["attempts"]] == ["cancelled"]
    with bench.database.reading() as session:
        assert runs.run_dict(session, found["run_id"])["state"] == "cancelled"


def test_a_cancelled_job_can_be_tried_again(bench: Bench) -> None:
    from training_jobs import job_queue

    job_id = submit(bench.database, bench.settings, options={"epochs": 6, "hold_at": 2})
    bench.until_epoch(job_id, 2)
    with bench.database.writing() as session:
        job_queue.cancel(session, job_id)
    bench.until_state(job_id, "cancelled")
    with bench.database.writing() as session:
        job_queue.retry(session, job_id)
    found = bench.until_state(job_id, "succeeded")
    assert [each["state"] for each in found["attempts"]] == ["cancelled", "succeeded"]


def test_a_mistake_of_the_request_fails_the_job_at_once(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"fail": "known"})
    found = bench.until_state(job_id, "failed")
    assert found["error"] == {
        "code": "too_few_images",
        "message": "16 shots need 16 images; 'calm' has 9. Choose 8 shots.",
        "expected": "16 shots need 16 images",
        "found": "'calm' has 9",
        "remedy": "Choose 8 shots.",
    }
    assert [each["state"] for each in found["attempts"]] == ["failed"]


def test_an_unexpected_error_is_told_without_names_of_files(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"fail": "unknown"})
    found = bench.until_state(job_id, "failed")
    assert found["error"]["message"] == (
        "The training runs to its end; it stopped with RuntimeError. "
        "The job's log says where; report it, or retry the job."
    )
    log = read_log(bench.settings, job_id)
    assert "in _fail, slow_job.py:" in log
    assert "jane" not in log


def test_a_terminated_training_waits_in_the_queue(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 6, "hold_at": 1})
    pid = bench.until_epoch(job_id, 1)
    os.kill(pid, signal.SIGTERM)
    found = bench.until_state(job_id, "succeeded")
    assert [each["state"] for each in found["attempts"]] == ["interrupted", "succeeded"]


def test_a_process_with_an_old_token_does_nothing(bench: Bench) -> None:
    job_id = submit(bench.database, bench.settings, options={"epochs": 2})
    found = bench.until_state(job_id, "succeeded")
    environment = os.environ | {
        "PROMPTOSCOPE_HOME": str(bench.settings.home),
        "PROMPTOSCOPE_DATABASE_URL": bench.settings.database,
    }
    late = subprocess.run([*COMMAND, job_id, "--token", "0"], env=environment, check=False)
    assert late.returncode == SUPERSEDED
    assert bench.job(job_id) == found
