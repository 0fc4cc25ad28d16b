from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from core.errors import Conflict, NotFound
from core.records import image_sets, jobs, runs
from core.records.jobs import Claim
from core.records.session import Database
from core.settings import Settings
from tests.training_jobs.conftest import submit
from training_jobs import job_queue

JOBS, PROCESSES = 64, 8


def claim(database: Database, host: str = "here", slots: int = 1) -> Claim | None:
    with database.writing() as session:
        return job_queue.claim(session, executor="local", host=host, slots=slots)


def told(database: Database, job_id: str) -> dict[str, Any]:
    with database.reading() as session:
        return jobs.job_dict(session, job_id)


def test_a_queued_job_knows_its_place(database: Database, settings: Settings) -> None:
    first, second = submit(database, settings, seed=1), submit(database, settings, seed=2)
    found = told(database, second)
    run_id = found["run_id"]
    with database.reading() as session:
        phantoms = image_sets.find_image_set(session, "phantoms").id
    assert [told(database, each)["queue_position"] for each in (first, second)] == [1, 2]
    assert found | {"created_at": ""} == {
        "id": second,
        "kind": "train",
        "state": "queued",
        "run_id": run_id,
        "experiment_id": None,
        "description_task_id": None,
        "description_set": None,
        "explanation_batch_id": None,
        "cells": None,
        "image_set": {"id": phantoms, "name": "phantoms"},
        "label": "coop, 16 shots, seed 2",
        "created_at": "",
        "started_at": None,
        "finished_at": None,
        "stage": None,
        "done": 0,
        "total": 0,
        "epoch": None,
        "epochs": None,
        "seconds_per_epoch": None,
        "seconds_left": None,
        "note": None,
        "heartbeat_age_s": None,
        "cancel_requested": False,
        "queue_position": 2,
        "error": None,
        "attempts": [],
        "unreadable": [],
    }


def test_the_first_in_line_is_claimed_first_and_slots_are_kept(database: Database, settings: Settings) -> None:
    ids = [submit(database, settings, seed=n) for n in range(3)]
    first, second = claim(database, slots=2), claim(database, slots=2)
    assert first is not None
    assert second is not None
    assert [(first.job_id, first.slot), (second.job_id, second.slot)] == [(ids[0], 0), (ids[1], 1)]
    assert claim(database, slots=2) is None
    elsewhere = claim(database, host="there")
    assert elsewhere is not None
    assert elsewhere.job_id == ids[2]


def test_jobs_are_listed_by_state(database: Database, settings: Settings) -> None:
    ids = [submit(database, settings, seed=n) for n in range(3)]
    claim(database)
    with database.reading() as session:
        assert [job["id"] for job in jobs.list_jobs(session)] == ids[::-1]
        assert [job["id"] for job in jobs.list_jobs(session, "running")] == ids[:1]
        assert [job["id"] for job in jobs.list_jobs(session, "queued", limit=1, offset=1)] == ids[1:2]


def test_many_processes_claim_each_job_once(database: Database, settings: Settings) -> None:
    with database.writing() as session:
        sample = submit_set(session, settings)
        for seed in range(JOBS):
            asked = runs.RunRequest(image_set=sample, method="coop", seed=seed)
            job_queue.enqueue(session, runs.add_run(session, asked), asked.label)
    # Forked, as importing everything eight times over would take longer than the test.
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        claimed = pool.starmap(claim_all, [(settings.database, f"host {n}") for n in range(PROCESSES)])
    ids = [job_id for each in claimed for job_id in each]
    assert len(ids) == len(set(ids)) == JOBS
    with database.reading() as session:
        found = jobs.list_jobs(session, limit=JOBS)
    assert {(job["state"], len(job["attempts"])) for job in found} == {("succeeded", 1)}


def submit_set(session: Any, settings: Settings) -> str:
    from tests.core.records.samples import image_set

    return image_sets.add_image_set(
        session, image_set(settings.images_dir), source="demo", store=settings.images_dir, drawn=True
    )


def claim_all(url: str, host: str) -> list[str]:
    """Claim and finish until nothing is left; with one slot each, and looking on while others hold the last."""
    database = Database(url)
    done: list[str] = []
    while True:
        taken = claim(database, host)
        if taken is None:
            with database.reading() as session:
                if not jobs.has_free_work(session, host=host, slots=1):
                    break
            continue
        with database.writing() as session:
            assert job_queue.succeed(session, taken.job_id, taken.fence)
        done.append(taken.job_id)
    database.close()
    return done


def test_an_old_fence_changes_nothing(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    old = claim(database)
    assert old is not None
    with database.writing() as session:
        assert job_queue.lose(session, job_id, old.fence, "The job's process died (signal 9)")
    new = claim(database)
    assert new is not None
    assert (new.fence, new.attempt) == (old.fence + 1, 2)
    before = told(database, job_id)
    with database.writing() as session:
        assert jobs.beat(session, job_id, old.fence, {"stage": "training"}) == jobs.Held(False, False)
        assert not job_queue.succeed(session, job_id, old.fence)
        assert not job_queue.fail(session, job_id, old.fence, {"code": "x"})
        assert not job_queue.give_back(session, job_id, old.fence)
        assert not job_queue.finish_cancelled(session, job_id, old.fence)
        assert not job_queue.lose(session, job_id, old.fence, "again")
    after = told(database, job_id)
    assert after | {"heartbeat_age_s": 0} == before | {"heartbeat_age_s": 0}
    assert [each["state"] for each in after["attempts"]] == ["lost", "running"]


def test_a_job_that_dies_three_times_has_failed(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    for _ in range(3):
        taken = claim(database)
        assert taken is not None
        with database.writing() as session:
            job_queue.lose(session, job_id, taken.fence, "The job's process died (signal 9)")
    found = told(database, job_id)
    assert found["state"] == "failed"
    assert [each["state"] for each in found["attempts"]] == ["lost", "lost", "lost"]
    assert found["error"]["message"] == (
        "The job's process died (signal 9), as 2 attempts before it. "
        "Look at the job's log; a smaller batch needs less memory. Then retry."
    )
    with database.writing() as session:
        job_queue.retry(session, job_id)
    taken = claim(database)
    assert taken is not None
    with database.writing() as session:
        job_queue.lose(session, job_id, taken.fence, "The job's process died (signal 9)")
    assert told(database, job_id)["state"] == "queued"


def test_a_job_given_back_keeps_its_place_and_its_tries(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    other = submit(database, settings, seed=2)
    for _ in range(4):
        taken = claim(database)
        assert taken is not None
        assert taken.job_id == job_id
        with database.writing() as session:
            assert job_queue.give_back(session, job_id, taken.fence)
    assert told(database, job_id)["queue_position"] == 1
    assert told(database, other)["queue_position"] == 2


def test_a_queued_job_is_cancelled_at_once(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    with database.writing() as session:
        assert job_queue.cancel(session, job_id) == "cancelled"
    assert claim(database) is None
    assert told(database, job_id)["state"] == "cancelled"
    with pytest.raises(Conflict, match="Only a queued or running job can be cancelled; this one is cancelled"):
        _cancel(database, job_id)


def test_a_running_job_is_cancelled_when_its_processes_are_gone(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    taken = claim(database)
    assert taken is not None
    assert _cancel(database, job_id) == "running"
    found = told(database, job_id)
    assert (found["state"], found["cancel_requested"]) == ("running", True)
    with database.writing() as session:
        assert jobs.beat(session, job_id, taken.fence) == jobs.Held(True, True)
        assert job_queue.finish_cancelled(session, job_id, taken.fence)
    assert told(database, job_id)["state"] == "cancelled"


def test_a_job_that_dies_while_being_cancelled_is_cancelled(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    taken = claim(database)
    assert taken is not None
    _cancel(database, job_id)
    with database.writing() as session:
        job_queue.lose(session, job_id, taken.fence, "The job's process died (signal 15)")
    assert told(database, job_id)["state"] == "cancelled"


def test_only_what_failed_or_was_cancelled_is_tried_again(database: Database, settings: Settings) -> None:
    job_id = submit(database, settings)
    with pytest.raises(Conflict, match="Only a failed or cancelled job can be tried again; this one is queued"):
        _retry(database, job_id)
    _cancel(database, job_id)
    _retry(database, job_id)
    found = told(database, job_id)
    assert (found["state"], found["cancel_requested"], found["finished_at"]) == ("queued", False, None)


def test_an_unknown_job_is_not_found(database: Database) -> None:
    for act in (_cancel, _retry, told):
        with pytest.raises(NotFound, match="A job with this id; 'nothing' is none"):
            act(database, "nothing")


def test_a_worker_is_listed_while_it_is_heard_of(database: Database) -> None:
    with database.writing() as session:
        jobs.beat_worker(session, "w1", host="here", pid=7, executor="local", slots=1)
        jobs.beat_worker(session, "w1", host="here", pid=7, executor="local", slots=1)
    with database.reading() as session:
        assert [(each["id"], each["pid"], each["slots"]) for each in jobs.list_workers(session)] == [("w1", 7, 1)]
    with database.writing() as session:
        jobs.drop_worker(session, "w1")
        assert jobs.list_workers(session) == []


def _cancel(database: Database, job_id: str) -> str:
    with database.writing() as session:
        return job_queue.cancel(session, job_id)


def _retry(database: Database, job_id: str) -> None:
    with database.writing() as session:
        job_queue.retry(session, job_id)
