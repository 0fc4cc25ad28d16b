"""Processes of this machine: whether one still lives, is the one we mean, and what is left of its group.

A pid alone says little, because pids are used again; together with the moment the process started it is a name.
Where the system has no process groups (Windows), a process and its descendants stand for one.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

PROC = Path("/proc")
HAS_GROUPS = hasattr(os, "killpg")
NICENESS = 5


@cache
def this_host() -> str:
    """A name for this machine since it was started: pids mean something only under the same name."""
    boot = PROC / "sys/kernel/random/boot_id"
    return f"{socket.gethostname()}/{boot.read_text().strip()}" if boot.exists() else socket.gethostname()


def started(pid: int) -> str | None:
    """When the process started, or None if it is gone (a zombie is). Equal only for the same process."""
    return None if _is_zombie(pid) else _birth(pid)


def group_members(leader: int, leader_started: str | None) -> list[int]:
    """Living processes of the group that the process `leader` began.

    leader_started: from `started`. A pid is not given out again while its group lives, so a stranger under the
    leader's pid means that the group is gone.
    """
    birth = _birth(leader)
    if birth is not None and leader_started is not None and birth != leader_started:
        return []
    found = _same_group(leader) if HAS_GROUPS else descendants(leader, _parents())
    return [pid for pid in found if not _is_zombie(pid)]


def stop_group(leader: int, leader_started: str | None, *, by_force: bool) -> None:
    """Ask the group to end, or end it by force, if it still is the one we mean.

    Windows knows no asking: there both end the processes at once, and a training goes on from its last epoch later.
    """
    members = group_members(leader, leader_started)
    if HAS_GROUPS:
        with suppress(ProcessLookupError):  # it ended by itself in between
            if members:
                os.killpg(leader, signal.SIGKILL if by_force else signal.SIGTERM)
        return
    for pid in members:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def session_options() -> dict[str, Any]:
    """What `subprocess.Popen` needs so that the child leads a session of its own and outlives a Ctrl-C here."""
    if HAS_GROUPS:
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def give_way() -> None:
    """Let this process compute behind those that people wait for."""
    below_normal = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", None)
    process = psutil.Process()
    process.nice(below_normal if below_normal is not None else min(19, process.nice() + NICENESS))


def descendants(leader: int, parents: Mapping[int, int]) -> list[int]:
    """`leader`, where it lives, and all that come from it. parents: pid -> pid of its parent, of living processes."""
    found, waiting = [leader] if leader in parents else [], [leader]
    while waiting:
        parent = waiting.pop()
        children = [pid for pid, above in parents.items() if above == parent and pid not in (*found, leader)]
        found += children
        waiting += children
    return found


def _parents() -> dict[int, int]:
    return {each.pid: each.info["ppid"] for each in psutil.process_iter(["ppid"]) if each.info["ppid"] is not None}


def _same_group(leader: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        with suppress(OSError):  # gone in between, or another user's on a system that does not tell
            if os.getpgid(pid) == leader:
                found.append(pid)
    return found


def _birth(pid: int) -> str | None:
    if (PROC / "self/stat").exists():
        return _ticks(pid)
    try:
        return repr(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _ticks(pid: int) -> str | None:
    """Clock ticks from boot to the start of a process: on Linux psutil's own time moves when the clock is set."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything, so count from its end.
    return text.rpartition(")")[2].split()[19]


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.Error:
        return False
