"""`python -m training_jobs.spare`: a process that has loaded what trainings need, and waits for the job it is to do.

Most of a short job is the start of its process: several seconds of loading libraries before the first step. A spare has
them behind it. Each does one job, like any other process of a job, and ends with its worker when it was not needed.
"""

from __future__ import annotations

import importlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from core.settings import Settings
from training_jobs.job_log import log_path
from training_jobs.processes import give_way, session_options

COMMAND = (sys.executable, "-m", "training_jobs.spare")
NEEDED_MODULES = (
    "core.tuning.train",
    "core.experiments.grid",
    "core.backbones.loading",
    "core.backbones.open_clip_adapter",
)
LEAST_FREE_BYTES = 3 * 1024**3
"""A spare holds a few hundred megabytes; where memory is short, jobs rather start cold."""


class Spare:
    """A waiting process, as the worker holds it."""

    def __init__(self, environment: dict[str, str], cwd: Path, command: Sequence[str] = COMMAND) -> None:
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=cwd,
            **session_options(),
        )

    @property
    def waits(self) -> bool:
        """Whether it is there."""
        return self.process.poll() is None

    def take(self, job_id: str, token: int) -> subprocess.Popen[bytes] | None:
        """Give it a job: its process from now on. None if it has ended meanwhile."""
        pipe = self.process.stdin
        if pipe is None or not self.waits:
            return None
        try:
            pipe.write(f"{job_id} {token}\n".encode())
            pipe.close()
        except OSError:
            return None
        return self.process


def has_room() -> bool:
    """Whether there is memory to spare."""
    return bool(psutil.virtual_memory().available >= LEAST_FREE_BYTES)


def main() -> int:
    """Load, wait for a line "JOB_ID TOKEN" on standard input, and be that job's process."""
    told: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(told,), name="worker-watch", daemon=True).start()
    give_way()
    for module in NEEDED_MODULES:
        importlib.import_module(module)
    job_id, token = told.get()
    from training_jobs import run_job

    log = log_path(Settings(), job_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    return run_job.main([job_id, "--token", token])


def _listen(told: queue.SimpleQueue[list[str]]) -> None:
    """Hand on the one line; without one the worker has ended or let this process go, which then ends at once."""
    line = sys.stdin.readline().split()
    if len(line) != 2:
        os._exit(0)
    told.put(line)


if __name__ == "__main__":
    sys.exit(main())
