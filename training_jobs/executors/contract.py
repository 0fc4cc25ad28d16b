"""What runs the processes of jobs, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from core.records.jobs import Claim, RunningAttempt


@dataclass(frozen=True)
class Sighting:
    """What an executor sees of an attempt. "unknown": it cannot tell, so the heartbeat decides. reason: for "gone"."""

    state: Literal["alive", "gone", "unknown"]
    reason: str = ""


@dataclass(frozen=True)
class Started:
    """How a fresh process is found again: by pid on this host, or by the executor's own name for it."""

    pid: int | None = None
    pid_started: str | None = None
    external_id: str | None = None


class Executor(Protocol):
    """Starts, watches and stops the processes of jobs. All of them run the same entry point."""

    name: str
    host: str
    slots: int

    def check(self) -> None:
        """Raises Unavailable if nothing can be started now."""

    def start(self, claim: Claim) -> Started:
        """Start the process of a claimed job. Raises Unavailable or OSError."""

    def look(self, attempt: RunningAttempt) -> Sighting:
        """Whether the attempt's process lives, also one that another worker started."""

    def is_cleared(self, attempt: RunningAttempt) -> bool | None:
        """Whether nothing of the attempt is left, its children included; None if that cannot be seen."""

    def stop(self, attempt: RunningAttempt, *, by_force: bool) -> None:
        """Ask the attempt's processes to end, or end them by force."""

    def forget(self, attempts: set[tuple[str, int]]) -> None:
        """Let go of every process that is not among these (job id, fence)."""
