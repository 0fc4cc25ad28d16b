"""Jobs as processes of this machine, each leading a session of its own, so that it outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.records.jobs import Claim, RunningAttempt
from core.settings import Settings
from core.threads import wait_briefly
from training_jobs.executors.contract import Sighting, Started
from training_jobs.job_log import log_path
from training_jobs.processes import group_members, session_options, started, stop_group, this_host
from training_jobs.spare import Spare, has_room

COMMAND = (sys.executable, "-m", "training_jobs.run_job")
PROJECT = Path(__file__).resolve().parents[2]
UNSEEN = "The job's process died; how is not known, because its worker had stopped before"


class LocalExecutor:
    """One process per job, as many at once as there are devices.

    slots: how many; without it the number of CUDA devices, or 1. command: what starts a job's process; job id and
    token are added to it. spares: whether a loaded process waits for the next job of each slot.
    """

    name = "local"

    def __init__(
        self,
        settings: Settings,
        slots: int | None = None,
        command: Sequence[str] = COMMAND,
        spares: bool | None = None,
    ) -> None:
        self._settings, self._command = settings, tuple(command)
        self._devices = cuda_devices()
        self.slots = slots or max(1, len(self._devices))
        self.host = this_host()
        self._children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        # a spare becomes what COMMAND starts, so it is no stand-in for another command
        self._has_spares = settings.warm_worker and self._command == COMMAND if spares is None else spares
        self._spares: dict[int, Spare] = {}

    def check(self) -> None:
        """A process can always be tried."""

    def start(self, claim: Claim) -> Started:
        """Start the job's process in a session of its own, with what it prints as errors in the job's log."""
        child = self._spare(claim) or self._fresh(claim)
        self._children[claim.job_id, claim.fence] = child
        return Started(pid=child.pid, pid_started=started(child.pid))

    def _fresh(self, claim: Claim) -> subprocess.Popen[bytes]:
        log = log_path(self._settings, claim.job_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            return subprocess.Popen(
                [*self._command, claim.job_id, "--token", str(claim.fence)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment(claim.slot),
                cwd=self._settings.home,
                **session_options(),
            )

    def _spare(self, claim: Claim) -> subprocess.Popen[bytes] | None:
        """The process that waited for a job of this slot, if one did."""
        waiting = self._spares.pop(claim.slot, None)
        return waiting.take(claim.job_id, claim.fence) if waiting else None

    def look(self, attempt: RunningAttempt) -> Sighting:
        """By exit status for our own children, by pid and starting time for those of an earlier worker."""
        child = self._children.get((attempt.job_id, attempt.fence))
        if child is not None:
            code = child.poll()
            return Sighting("alive") if code is None else Sighting("gone", _ending(code))
        if attempt.host != self.host or attempt.pid is None:
            return Sighting("unknown")
        if attempt.pid_started is not None and started(attempt.pid) == attempt.pid_started:
            return Sighting("alive")
        return Sighting("gone", UNSEEN)

    def is_cleared(self, attempt: RunningAttempt) -> bool | None:
        """Whether the process group is empty."""
        if attempt.host != self.host or attempt.pid is None:
            return None
        child = self._children.get((attempt.job_id, attempt.fence))
        if child is not None:
            child.poll()
        return not group_members(attempt.pid, attempt.pid_started)

    def stop(self, attempt: RunningAttempt, *, by_force: bool) -> None:
        """SIGTERM or SIGKILL to the process group."""
        if attempt.host == self.host and attempt.pid is not None:
            stop_group(attempt.pid, attempt.pid_started, by_force=by_force)

    def forget(self, attempts: set[tuple[str, int]]) -> None:
        """Reap children whose job has ended, and have a loaded process wait for the next job."""
        for key in [key for key in self._children if key not in attempts]:
            if self._children[key].poll() is not None:
                del self._children[key]
        if self._has_spares and not self._children:
            self._keep_spares()

    def _keep_spares(self) -> None:
        """A waiting process for each slot; made while nothing is trained, so that it takes no time from anybody."""
        for slot in range(self.slots):
            waiting = self._spares.get(slot)
            if waiting is not None and not waiting.waits:
                # it ended by itself, which it never should: jobs start without, and say themselves what is wrong
                self._has_spares = False
            elif waiting is None and has_room():
                self._spares[slot] = Spare(self._environment(slot), self._settings.home)

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ)
        environment["PROMPTOSCOPE_HOME"] = str(self._settings.home.resolve())
        environment["PROMPTOSCOPE_DATABASE_URL"] = self._settings.database
        # The process starts in the home folder; the project must be found without being installed, too.
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{PROJECT}{os.pathsep}{known}" if known else str(PROJECT)
        wait_briefly(environment)
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.slots)))
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[slot % len(self._devices)]
        return environment


def cuda_devices() -> list[str]:
    """CUDA devices as CUDA_VISIBLE_DEVICES names them, found without loading any CUDA library."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in {"", "-1"}]
    numbers = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return [number for number in numbers if number.isdigit()]


def _ending(code: int) -> str:
    if code < 0:
        hint = ", often a lack of memory" if -code == signal.SIGKILL else ""
        return f"The job's process died (signal {-code}{hint})"
    return f"The job's process ended without a result (exit code {code})"
