"""Processes found again by pid and birth, and stopped with all that came from them, with groups and without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest

from training_jobs import processes
from training_jobs.processes import descendants, give_way, group_members, session_options, started, stop_group

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that leads a session of its own, and the pid of its child."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, **session_options())
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    yield parent, child
    parent.stdout.close()
    for pid in (parent.pid, child):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    parent.wait()


@pytest.mark.parametrize("has_groups", [True, False])
def test_a_family_is_found_and_stopped_by_force(family, monkeypatch, has_groups):
    monkeypatch.setattr(processes, "HAS_GROUPS", has_groups)
    parent, child = family
    birth = started(parent.pid)
    assert sorted(group_members(parent.pid, birth)) == sorted([parent.pid, child])
    stop_group(parent.pid, birth, by_force=True)
    assert parent.wait(10) == -signal.SIGKILL
    assert started(parent.pid) is None
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert group_members(parent.pid, birth) == []


@pytest.mark.parametrize("has_groups", [True, False])
def test_a_stranger_under_the_same_pid_is_left_alone(family, monkeypatch, has_groups):
    monkeypatch.setattr(processes, "HAS_GROUPS", has_groups)
    parent, child = family
    assert group_members(parent.pid, "another birth") == []
    stop_group(parent.pid, "another birth", by_force=True)
    assert (started(parent.pid) is None, started(child) is None) == (False, False)


def test_asking_sends_sigterm_to_the_group(family):
    parent, _ = family
    stop_group(parent.pid, started(parent.pid), by_force=False)
    assert parent.wait(10) == -signal.SIGTERM


def test_births_are_told_without_proc_too(tmp_path, monkeypatch):
    own = os.getpid()
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert started(own) == repr(psutil.Process(own).create_time())
    assert started(2**22 + 5) is None


def test_descendants_are_found_when_the_leader_is_gone():
    parents = {2: 1, 30: 20, 31: 20, 40: 31, 50: 2}
    assert descendants(20, parents) == [30, 31, 40]
    assert descendants(2, parents) == [2, 50]
    assert descendants(7, parents) == []
    assert descendants(1, {1: 2, 2: 1}) == [1, 2]


def test_windows_names_its_own_session_and_priority(monkeypatch):
    asked = []
    monkeypatch.setattr(processes, "HAS_GROUPS", False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 0x4000, raising=False)
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(nice=asked.append))
    give_way()
    assert (session_options(), asked) == ({"creationflags": 0x200}, [0x4000])


def test_a_job_computes_behind_the_site(monkeypatch):
    asked = []
    own = SimpleNamespace(nice=lambda *value: asked.append(value) or 17)
    monkeypatch.setattr(psutil, "Process", lambda: own)
    give_way()
    assert asked == [(), (19,)]
