"""Processes of this machine: whether one still lives, is the one we mean, and what is left of its group.

A pid alone says little, because pids are used again; together with the moment the process started it is a name.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
PS_TIMEOUT_S = 5


@dataclass(frozen=True)
class ProcessFacts:
    """What the system says of a process. started: ticks or text, equal only for the same process."""

    pid: int
    group: int
    started: str
    is_zombie: bool


@cache
def this_host() -> str:
    """A name for this machine since it was started: pids mean something only under the same name."""
    boot = PROC / "sys/kernel/random/boot_id"
    return f"{socket.gethostname()}/{boot.read_text().strip()}" if boot.exists() else socket.gethostname()


def started(pid: int) -> str | None:
    """When the process started, or None if it is gone (a zombie is)."""
    facts = _facts(pid)
    return None if facts is None or facts.is_zombie else facts.started


def group_members(leader: int, leader_started: str | None) -> list[int]:
    """Living processes of the group that the process `leader` began.

    leader_started: from `started`. A pid is not given out again while its group lives, so a stranger under the
    leader's pid means that the group is gone.
    """
    facts = _facts(leader)
    if facts is not None and leader_started is not None and facts.started != leader_started:
        return []
    return [each.pid for each in _all_facts() if each.group == leader and not each.is_zombie]


def signal_group(leader: int, leader_started: str | None, number: signal.Signals) -> None:
    """Send a signal to the group if it still is the one we mean."""
    if not group_members(leader, leader_started):
        return
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return  # it ended by itself in between


def _facts(pid: int) -> ProcessFacts | None:
    if (PROC / "self/stat").exists():
        return _facts_from_proc(pid)
    return next((facts for facts in _facts_from_ps() if facts.pid == pid), None)


def _all_facts() -> list[ProcessFacts]:
    if not (PROC / "self/stat").exists():
        return _facts_from_ps()
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return [facts for facts in map(_facts_from_proc, pids) if facts is not None]


def _facts_from_proc(pid: int) -> ProcessFacts | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything, so count from its end:
    # 0 state, 2 process group, 19 start in clock ticks since boot.
    fields = text.rpartition(")")[2].split()
    return ProcessFacts(pid, int(fields[2]), fields[19], fields[0] in {"Z", "X"})


def _facts_from_ps() -> list[ProcessFacts]:
    columns = ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="]
    try:
        lines = subprocess.run(columns, capture_output=True, text=True, timeout=PS_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(None, 3) for line in lines.splitlines()]
    return [ProcessFacts(int(pid), int(group), start, "Z" in stat) for pid, group, stat, start in rows]
