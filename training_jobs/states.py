"""The states of a job and the moves between them, all in one place."""

from __future__ import annotations

from typing import Literal

from core.errors import Conflict

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

MOVES: dict[State, tuple[State, ...]] = {
    "queued": ("running", "cancelled"),
    # back to queued: the process died or was told to stop, and the job goes on from its checkpoint later
    "running": ("succeeded", "failed", "cancelled", "queued"),
    "failed": ("queued",),
    "cancelled": ("queued",),
    "succeeded": (),
}
FINISHED: tuple[State, ...] = ("succeeded", "failed", "cancelled")


def is_allowed(old: State, new: State) -> bool:
    """Whether a job may go from one state to the other."""
    return new in MOVES[old]


def check_move(old: State, new: State) -> None:
    """Raises Conflict if a job may not go from one state to the other."""
    if not is_allowed(old, new):
        next_states = " or ".join(MOVES[old]) or "nothing else"
        raise Conflict(
            f"A job that is {old} can become {next_states}", f"it cannot become {new}", "Look at the job's page."
        )
