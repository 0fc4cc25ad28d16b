"""A process that waits for a job: it takes one, ends with its worker, and is never needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core.records.jobs import Claim
from core.settings import Settings
from training_jobs.executors import local
from training_jobs.executors.local import LocalExecutor
from training_jobs.spare import Spare

ECHO = (sys.executable, "-c", "import sys; open('taken', 'w').write(sys.stdin.readline())")
BROKEN = (sys.executable, "-c", "raise SystemExit(3)")
FRESH = (sys.executable, "-c", "open('fresh', 'w').write('x')")
CLAIM = Claim(job_id="01job", run_id="01run", fence=7, attempt=1, slot=0)


def executor(home: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> LocalExecutor:
    monkeypatch.setattr(local, "Spare", lambda environment, cwd: Spare(environment, cwd, command))
    monkeypatch.setattr(local, "has_room", lambda: True)
    return LocalExecutor(Settings(home=home), slots=1, command=FRESH, spares=True)


def test_a_job_is_given_to_the_process_that_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = executor(tmp_path, monkeypatch, ECHO)
    found.forget(set())
    waiting = found._spares[0].process
    assert found.start(CLAIM).pid == waiting.pid
    assert waiting.wait(60) == 0
    assert (tmp_path / "taken").read_text() == "01job 7\n"
    assert not (tmp_path / "fresh").exists()
    # while a job runs no further one is made, since it would take time from the job
    assert found._spares == {}


def test_without_a_spare_a_process_is_started_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = executor(tmp_path, monkeypatch, ECHO)
    found.start(CLAIM)
    assert found._children[CLAIM.job_id, CLAIM.fence].wait(60) == 0
    assert (tmp_path / "fresh").exists()


def test_a_spare_that_cannot_load_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = executor(tmp_path, monkeypatch, BROKEN)
    found.forget(set())
    assert found._spares[0].process.wait(60) == 3
    for _ in range(3):
        found.forget(set())
    assert not found._has_spares
    found.start(CLAIM)
    assert found._children[CLAIM.job_id, CLAIM.fence].wait(60) == 0
    assert (tmp_path / "fresh").exists()


def test_where_memory_is_short_none_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = executor(tmp_path, monkeypatch, ECHO)
    monkeypatch.setattr(local, "has_room", lambda: False)
    found.forget(set())
    assert found._spares == {}


def test_a_spare_ends_when_its_worker_does(tmp_path: Path) -> None:
    waiting = Spare({"PATH": ""}, tmp_path, (sys.executable, "-c", "import sys; sys.exit(bool(sys.stdin.readline()))"))
    assert waiting.process.stdin is not None
    waiting.process.stdin.close()
    assert waiting.process.wait(60) == 0
    assert waiting.take("01job", 1) is None


def test_a_spare_that_is_still_loading_ends_with_its_worker_too(tmp_path: Path) -> None:
    # what it would load never ends
    slow = "import time, training_jobs.spare as s; s.importlib.import_module = lambda name: time.sleep(600); s.main()"
    waiting = Spare(dict(os.environ) | {"PYTHONPATH": str(local.PROJECT)}, tmp_path, (sys.executable, "-c", slow))
    assert waiting.process.stdin is not None
    waiting.process.stdin.close()
    assert waiting.process.wait(60) == 0


def test_another_command_or_the_setting_keeps_none(tmp_path: Path) -> None:
    assert LocalExecutor(Settings(home=tmp_path))._has_spares
    assert not LocalExecutor(Settings(home=tmp_path), command=FRESH)._has_spares
    assert not LocalExecutor(Settings(home=tmp_path, warm_worker=False))._has_spares
