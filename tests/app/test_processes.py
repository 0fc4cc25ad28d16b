"""What runs beside the site: the worker process; and where the site listens."""

from __future__ import annotations

import sys
import time

import pytest

from app.commands.serve import link, listen
from app.services.system import doctor
from app.worker_process import WorkerProcess, worker_environment
from core.errors import Unavailable
from core.settings import Settings

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


def wait_for(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_worker_is_started_again_when_it_dies_and_stopped_with_the_site(home, monkeypatch):
    monkeypatch.setattr("app.worker_process.POLL_S", 0.05)
    worker = WorkerProcess(Settings(home=home), SLEEP)
    worker.start()
    first = worker.pid
    worker._process.kill()
    assert wait_for(lambda: worker.pid != first)
    second = worker._process
    worker.stop()
    assert second.poll() is not None


def test_worker_gets_the_settings_of_the_site(home):
    found = worker_environment(Settings(home=home, database_url="sqlite:///x.db", executor="local"))
    assert found == {
        "PROMPTOSCOPE_HOME": str(home), "PROMPTOSCOPE_DATABASE_URL": "sqlite:///x.db", "PROMPTOSCOPE_EXECUTOR": "local",
    }  # fmt: skip


def test_taken_port_is_a_sentence():
    taken = listen("127.0.0.1", 0)
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match=f"A free port {port} at 127.0.0.1; Address already in use. Choose another"):
        listen("127.0.0.1", port)
    taken.close()


def test_printed_link_can_be_opened_on_this_machine():
    assert link("127.0.0.1", 8000, "c") == "http://127.0.0.1:8000/?code=c"
    assert link("0.0.0.0", 80, "c") == "http://127.0.0.1:80/?code=c"
    assert link("::1", 80, "c") == "http://[::1]:80/?code=c"


def test_doctor_reports_each_part_and_survives_a_broken_one(home, monkeypatch):
    monkeypatch.setattr("app.services.system._backbone", lambda settings: 1 / 0)
    rows = {row["check"]: row for row in doctor(settings=Settings(home=home))}
    assert rows["python"]["status"] == "pass"
    assert rows["database"] == {
        "check": "database", "status": "warn", "message": "There is no database yet",
        "fix": "The first command that needs it makes it.",
    }  # fmt: skip
    assert (rows["backbone"]["status"], rows["backbone"]["message"]) == ("fail", "ZeroDivisionError: division by zero")
    assert not home.exists()
