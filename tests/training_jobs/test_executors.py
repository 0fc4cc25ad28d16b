from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import Unavailable
from core.records.jobs import Claim, RunningAttempt
from core.settings import Settings
from training_jobs.executors import make_executor
from training_jobs.executors.local import LocalExecutor, cuda_devices
from training_jobs.executors.ray import RayExecutor

CLAIM = Claim(job_id="01job", run_id="01run", fence=2, attempt=1, slot=0)


class FakeRay:
    """Ray's job client as far as we use it."""

    def __init__(self) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.status = "PENDING"

    def get_version(self) -> str:
        return "2.54"

    def submit_job(self, **arguments: Any) -> str:
        self.submitted.append(arguments)
        return str(arguments["submission_id"])

    def get_job_status(self, name: str) -> Any:
        if self.status == "DOWN":
            raise RuntimeError("no route to host")
        return SimpleNamespace(value=self.status)

    def stop_job(self, name: str) -> bool:
        self.stopped.append(name)
        return True


def attempt(**changes: Any) -> RunningAttempt:
    facts: dict[str, Any] = {
        "job_id": "01job",
        "number": 1,
        "fence": 2,
        "executor": "ray",
        "host": "ray/local",
        "slot": 0,
        "pid": None,
        "pid_started": None,
        "external_id": "promptoscope-01job-2",
        "heartbeat_at": None,
        "cancel_requested": False,
    }
    return RunningAttempt(**facts | changes)


def settings(home: Path, url: str | None = None, executor: str = "ray") -> Settings:
    return Settings(home=home, database_url=url, executor=executor)  # type: ignore[arg-type]


def test_ray_gets_one_fixed_command_and_no_password(tmp_path: Path) -> None:
    ray = FakeRay()
    executor = RayExecutor(settings(tmp_path, "postgresql+psycopg://a:secret@db/x"), gpus=1, client=ray)
    executor.check()
    assert executor.start(CLAIM).external_id == "promptoscope-01job-2"
    assert ray.submitted == [
        {
            "entrypoint": "python -m training_jobs.run_job 01job --token 2",
            "submission_id": "promptoscope-01job-2",
            "runtime_env": {"env_vars": {"PROMPTOSCOPE_HOME": str(tmp_path)}},
            "entrypoint_num_cpus": 1,
            "entrypoint_num_gpus": 1,
        }
    ]


@pytest.mark.parametrize(
    ("status", "seen", "cleared"),
    [
        ("PENDING", "alive", False),
        ("RUNNING", "alive", False),
        ("FAILED", "gone", True),
        ("STOPPED", "gone", True),
        ("DOWN", "unknown", None),
    ],
)
def test_ray_is_asked_how_a_job_is(tmp_path: Path, status: str, seen: str, cleared: bool | None) -> None:
    ray = FakeRay()
    ray.status = status
    executor = RayExecutor(settings(tmp_path), client=ray)
    assert executor.look(attempt()).state == seen
    assert executor.is_cleared(attempt()) is cleared


def test_ray_is_asked_to_stop_a_job_once(tmp_path: Path) -> None:
    ray = FakeRay()
    executor = RayExecutor(settings(tmp_path), client=ray)
    executor.stop(attempt(), by_force=False)
    executor.stop(attempt(), by_force=True)
    assert ray.stopped == ["promptoscope-01job-2"]


def test_ray_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(Unavailable, match=r"The executor 'ray' needs Ray; it is not installed here"):
        RayExecutor(settings(tmp_path)).check()


def test_the_settings_choose_the_executor(tmp_path: Path) -> None:
    assert isinstance(make_executor(settings(tmp_path)), RayExecutor)
    assert isinstance(make_executor(settings(tmp_path, executor="local")), LocalExecutor)


def test_each_slot_gets_a_device_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    executor = LocalExecutor(settings(tmp_path, executor="local"))
    assert executor.slots == 2
    assert [executor._environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in (0, 1)] == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert cuda_devices() == []
    assert LocalExecutor(settings(tmp_path, executor="local")).slots == 1
