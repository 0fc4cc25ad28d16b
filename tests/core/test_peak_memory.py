"""The highest memory of a process, as each system tells it."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from core import peak_memory
from core.peak_memory import peak_memory_mb


@pytest.mark.parametrize(("platform", "expected"), [("linux", 3.0), ("darwin", 3 / 1024)])
def test_posix_systems_count_in_their_own_units(monkeypatch, platform, expected):
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=3072))
    monkeypatch.setattr(peak_memory, "resource", usage)
    monkeypatch.setattr("sys.platform", platform)
    assert peak_memory_mb() == expected


def test_windows_tells_its_peak_working_set(monkeypatch):
    monkeypatch.setattr(peak_memory, "resource", None)
    info = SimpleNamespace(peak_wset=5 * 1024 * 1024)
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: info))
    assert peak_memory_mb() == 5.0


def test_the_peak_is_not_below_what_is_held_now():
    assert peak_memory_mb() >= psutil.Process().memory_info().rss / 1024**2 * 0.5
