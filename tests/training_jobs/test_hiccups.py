"""A job outlives a database that is away or a disk that is full: it waits, goes back into the queue, or says why."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from core.disk import Reserve, disk_full
from core.errors import DatabaseAway, Unavailable
from core.records import jobs
from core.records.session import Database
from core.settings import Settings
from tests.training_jobs import slow_job
from tests.training_jobs.conftest import submit
from training_jobs import job_queue, patience, run_job
from training_jobs.patience import TRIES
from training_jobs.run_job import DONE, GIVE_BACK_TRIES, GIVEN_BACK

STEPS = ["_subject_of", "_say_hello", "_load", "_seal"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for; nobody waits for them."""
    asked: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", asked.append)
    return asked


def claimed(database: Database, settings: Settings) -> tuple[str, int]:
    """The id and the token of a job that a worker has just claimed."""
    submit(database, settings)
    with database.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=1)
    assert claim is not None
    return claim.job_id, claim.fence


def told(database: Database, job_id: str) -> dict[str, Any]:
    with database.reading() as session:
        return jobs.job_dict(session, job_id)


def away_for(monkeypatch: pytest.MonkeyPatch, step: str, times: int, error: Callable[[], Exception]) -> None:
    original, left = getattr(run_job, step), [times]

    def fail(*given: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise error()
        return original(*given)

    monkeypatch.setattr(run_job, step, fail)


def locked() -> Exception:
    return DatabaseAway("The database answers and has room", "it said: database is locked")


@pytest.mark.parametrize("step", STEPS)
def test_a_short_absence_costs_pauses_and_nothing_else(database, settings, monkeypatch, pauses, step):
    job_id, token = claimed(database, settings)
    away_for(monkeypatch, step, TRIES - 1, locked)
    assert run_job.run_job(job_id, token, settings=settings, train=slow_job.train) == DONE
    assert told(database, job_id)["state"] == "succeeded"
    assert [pause for pause in pauses if pause] == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_long_absence_puts_the_job_back_into_the_queue(database, settings, monkeypatch, pauses, step):
    job_id, token = claimed(database, settings)
    away_for(monkeypatch, step, TRIES, locked)
    assert run_job.run_job(job_id, token, settings=settings, train=slow_job.train) == GIVEN_BACK
    found = told(database, job_id)
    assert (found["state"], found["error"]) == ("queued", None)
    assert [each["state"] for each in found["attempts"]] == ["interrupted"]
    with database.writing() as session:
        again = job_queue.claim(session, executor="local", host="here", slots=1)
    assert run_job.run_job(job_id, again.fence, settings=settings, train=slow_job.train) == DONE
    assert told(database, job_id)["state"] == "succeeded"


def test_giving_back_waits_for_the_database_too(database, settings, monkeypatch, pauses):
    job_id, token = claimed(database, settings)
    away_for(monkeypatch, "_load", TRIES, locked)
    away_for(monkeypatch, "_give_back", GIVE_BACK_TRIES - 1, locked)
    assert run_job.run_job(job_id, token, settings=settings, train=slow_job.train) == GIVEN_BACK
    assert told(database, job_id)["state"] == "queued"
    assert max(pauses) == 30


def test_what_waiting_does_not_mend_fails_the_job_at_once(database, settings, monkeypatch, pauses):
    job_id, token = claimed(database, settings)
    away_for(monkeypatch, "_load", 1, lambda: Unavailable("The weights are here", "they are not", "Fetch them."))
    run_job.run_job(job_id, token, settings=settings, train=slow_job.train)
    assert told(database, job_id)["error"]["message"] == "The weights are here; they are not. Fetch them."
    assert pauses == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/patients/jane.png"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        disk_full(),
    ],
    ids=["system", "safetensors", "ours"],
)
def test_a_full_disk_fails_the_job_with_that_reason(database, settings, pauses, error):
    job_id, token = claimed(database, settings)

    def train(*_: Any, **__: Any) -> None:
        raise error

    assert run_job.run_job(job_id, token, settings=settings, train=train) == DONE
    found = told(database, job_id)
    assert found["state"] == "failed"
    assert found["error"]["code"] == "disk_full"
    assert found["error"]["message"].startswith("Room on the disk; the disk is full. Delete image sets, models or runs")
    assert "jane" not in str(found)


def test_the_reason_is_worth_the_reserve(database, settings, monkeypatch, pauses):
    job_id, token = claimed(database, settings)
    reserve = Reserve.of(settings.home)
    reserve.fill(4096)
    away_for(monkeypatch, "_write_failure", 1, lambda: disk_full("the database"))

    def train(*_: Any, **__: Any) -> None:
        raise disk_full()

    assert run_job.run_job(job_id, token, settings=settings, train=train) == DONE
    assert told(database, job_id)["error"]["code"] == "disk_full"
    assert reserve.held_bytes == 0
