"""The worker beside a site ends with it, even when the site is killed; its jobs go on and are found again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.records import jobs
from core.records.session import Database
from core.settings import Settings
from tests.training_jobs.conftest import submit
from training_jobs.job_log import job_folder
from training_jobs.processes import started

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
SITE = """
import sys, time
from app.worker_process import COMMAND, WorkerProcess
from core.settings import Settings
worker = WorkerProcess(Settings(), tuple(sys.argv[1:]) or COMMAND)
worker.start()
print(worker.pid, flush=True)
time.sleep(600)
"""
SLOW_WORKER = """
import sys, threading
from core.records.session import Database
from core.settings import Settings
from training_jobs.__main__ import end_with_site
from training_jobs.executors.local import LocalExecutor
from training_jobs.worker import Worker
stop = threading.Event()
threading.Thread(target=end_with_site, args=(stop,), daemon=True).start()
settings = Settings()
executor = LocalExecutor(settings, slots=1, command=(sys.executable, "-m", "tests.training_jobs.slow_job"))
Worker(Database(settings.database), executor, poll_s=0.05).run(stop)
"""

Site = tuple[subprocess.Popen[str], int]


@pytest.fixture
def start_site(database: Database, settings: Settings) -> Iterator[Callable[..., Site]]:
    """Starts a process that keeps a worker as `serve` does: (process, pid of the worker)."""
    sites: list[Site] = []
    environment = os.environ | {
        "PROMPTOSCOPE_HOME": str(settings.home),
        "PROMPTOSCOPE_DATABASE_URL": settings.database,
        "PYTHONPATH": str(PROJECT),
    }

    def start(*command: str) -> Site:
        process = subprocess.Popen(
            [sys.executable, "-c", SITE, *command], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        sites.append((process, int(process.stdout.readline())))
        return sites[-1]

    yield start
    for process, worker in sites:
        process.kill()
        process.wait()
        holds(lambda worker=worker: started(worker) is None)  # type: ignore[misc]


def holds(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def workers(database: Database) -> list[int]:
    with database.reading() as session:
        return [each["pid"] for each in jobs.list_workers(session)]


def test_a_killed_site_takes_its_worker_along(database: Database, start_site: Callable[..., Site]) -> None:
    site, worker = start_site()
    assert holds(lambda: workers(database) == [worker])
    site.kill()
    site.wait()
    assert holds(lambda: started(worker) is None)
    assert workers(database) == []


def test_one_worker_is_left_after_any_number_of_crashes(database: Database, start_site: Callable[..., Site]) -> None:
    crashed = [start_site() for _ in range(3)]
    for site, _ in crashed:  # some before their worker has begun to work
        site.kill()
        site.wait()
    _, last = start_site()
    assert holds(lambda: all(started(worker) is None for _, worker in crashed))
    assert holds(lambda: workers(database) == [last])


@pytest.mark.slow
def test_the_training_of_a_killed_site_goes_on_once(
    database: Database, settings: Settings, start_site: Callable[..., Site]
) -> None:
    def job() -> dict:
        with database.reading() as session:
            return jobs.job_dict(session, job_id)

    slow = (sys.executable, "-c", SLOW_WORKER)
    job_id = submit(database, settings, options={"epochs": 4, "hold_at": 1})
    site, worker = start_site(*slow)
    assert holds(lambda: (job()["epoch"] or 0) >= 1)
    pid = job()["attempts"][0]["pid"]
    site.kill()
    site.wait()
    assert holds(lambda: started(worker) is None)
    assert started(pid) is not None
    start_site(*slow)
    (job_folder(settings, job_id) / "checkpoint" / "go").touch()
    assert holds(lambda: job()["state"] == "succeeded")
    assert [(each["pid"], each["state"]) for each in job()["attempts"]] == [(pid, "succeeded")]
