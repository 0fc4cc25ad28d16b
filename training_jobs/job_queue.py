"""What happens to jobs: enqueue, claim, finish, give back, cancel, retry. Functions take the session they work in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy.orm import Session

from core.errors import Conflict
from core.records import jobs
from core.records.jobs import Claim
from core.records.types import now
from training_jobs.states import State, check_move

MAX_LOST_ATTEMPTS = 3
MOST_LOST_OF_EXPERIMENT = MAX_LOST_ATTEMPTS + 1
"""One more: the cell that a process has died over so often fails first, and the others go on."""


def enqueue(session: Session, run_id: str, label: str) -> str:
    """Put a run's training into the queue, in the transaction that records the run; returns the job's id."""
    return jobs.add_job(session, run_id, label)


def claim(session: Session, *, executor: str, host: str, slots: int) -> Claim | None:
    """Make the longest waiting job ours if `host` has a free slot."""
    return jobs.claim_next(session, executor=executor, host=host, slots=slots)


def enqueue_experiment(session: Session, experiment_id: str, label: str) -> str:
    """Put the waiting cells of an experiment into the queue; returns the job's id.

    The job that it had is queued again where it failed or was cancelled; one that was done gets a successor. Raises
    Conflict while it is queued or running.
    """
    newest = jobs.newest_job_of_experiment(session, experiment_id)
    if newest is None or newest.state == "succeeded":
        return jobs.add_experiment_job(session, experiment_id, label)
    if newest.state in {"queued", "running"}:
        raise Conflict(
            "An experiment is put into the queue once",
            f"its job is {newest.state}",
            "Wait until it is done, or cancel it first.",
        )
    retry(session, newest.id)
    return newest.id


def enqueue_task(session: Session, task_id: str, kind: str, label: str) -> str:
    """Put a task about descriptions into the queue, in the transaction that records it; returns the job's id."""
    return jobs.add_task_job(session, task_id, kind, label)


def enqueue_batch(session: Session, batch_id: str, label: str) -> str:
    """Put a batch of explanations into the queue, in the transaction that records it; returns the job's id."""
    return jobs.add_batch_job(session, batch_id, label)


def succeed(session: Session, job_id: str, fence: int, note: str | None = None) -> bool:
    """The job is done; False (and nothing written) if its fence is old. Called in the transaction of the results."""
    if not _finish(session, job_id, fence, "succeeded", note=note):
        return False
    jobs.end_attempt(session, job_id, fence, "succeeded")
    return True


def fail(session: Session, job_id: str, fence: int, error: Mapping[str, Any], attempt_state: str = "failed") -> bool:
    """The job has failed, for a reason that trying again would not mend; False if its fence is old."""
    if not _finish(session, job_id, fence, "failed", error=dict(error)):
        return False
    jobs.end_attempt(session, job_id, fence, attempt_state, error)
    return True


def finish_cancelled(session: Session, job_id: str, fence: int) -> bool:
    """The job is cancelled: called once none of its processes is left. False if its fence is old."""
    if not _finish(session, job_id, fence, "cancelled"):
        return False
    jobs.end_attempt(session, job_id, fence, "cancelled")
    return True


def give_back(session: Session, job_id: str, fence: int) -> bool:
    """The job's process was told to stop and has: it waits again, at its old place. False if its fence is old."""
    return _queue_again(session, job_id, fence, "interrupted")


def lose(session: Session, job_id: str, fence: int, reason: str) -> bool:
    """The job's process is gone without a word: queue it again, or fail it after too many such ends.

    reason: a clause such as "The job's process died (signal 9)". False if somebody else has dealt with it.
    """
    count = jobs.count_lost_attempts(session, job_id) + 1
    job = jobs.find_job(session, job_id)
    most = MOST_LOST_OF_EXPERIMENT if job.experiment_id is not None else MAX_LOST_ATTEMPTS
    error = lost_error(reason, count, most, what="training" if job.run_id or job.experiment_id else "task")
    if count >= most:
        return fail(session, job_id, fence, error, attempt_state="lost")
    return _queue_again(session, job_id, fence, "lost", error)


def cancel(session: Session, job_id: str) -> State:
    """Take a job out of the queue, or ask its process to stop; the state it has now.

    A running job stays "running" until its worker has seen its processes end. Raises NotFound, or Conflict for a
    finished job.
    """
    if jobs.request_cancel(session, job_id):
        return "running"
    if _move(session, job_id, "queued", "cancelled", finished_at=now()):
        return "cancelled"
    state = _state(session, job_id)
    raise Conflict("Only a queued or running job can be cancelled", f"this one is {state}", "There is nothing to stop.")


def retry(session: Session, job_id: str) -> None:
    """Queue a failed or cancelled job again, as the last in line; it goes on from its checkpoint.

    Raises NotFound, or Conflict for a job in another state.
    """
    state = _state(session, job_id)
    if state not in {"failed", "cancelled"}:
        raise Conflict(
            "Only a failed or cancelled job can be tried again",
            f"this one is {state}",
            "Submit a new training instead.",
        )
    fresh = {"queued_at": now(), "finished_at": None, "cancel_requested_at": None, "error": None}
    _move(session, job_id, state, "queued", **fresh)


def _queue_again(
    session: Session, job_id: str, fence: int, attempt_state: str, error: Mapping[str, Any] | None = None
) -> bool:
    if jobs.is_cancel_requested(session, job_id):
        return finish_cancelled(session, job_id, fence)
    if not _move(session, job_id, "running", "queued", fence=fence, heartbeat_at=None, seconds_left=None):
        return False
    jobs.end_attempt(session, job_id, fence, attempt_state, error)
    return True


def _state(session: Session, job_id: str) -> State:
    # The table's check constraint allows nothing but these states.
    return cast(State, jobs.find_job(session, job_id).state)


def _finish(session: Session, job_id: str, fence: int, state: State, **values: Any) -> bool:
    return _move(session, job_id, "running", state, fence=fence, finished_at=now(), seconds_left=None, **values)


def _move(session: Session, job_id: str, old: State, new: State, **values: Any) -> bool:
    check_move(old, new)
    return jobs.move_job(session, job_id, old, new, **values)


AFTER_LOSS = {
    "training": (
        "It is tried again from its last finished epoch.",
        "Look at the job's log; a smaller batch needs less memory. Then retry.",
    ),
    "task": (
        "It is tried again; what it has done already is kept.",
        "Look at the job's log, and whether memory is short. Then retry: what it has done already is kept.",
    ),
}
"""What to do about a process that died, by what it was doing: while it is tried again by itself, and when no more."""


def lost_error(reason: str, count: int, most: int = MAX_LOST_ATTEMPTS, what: str = "training") -> dict[str, Any]:
    """The JSON of the error of a process that died. count: how often by now; at `most` it is not tried again. what: of
    `AFTER_LOSS`."""
    again = count < most
    remedy = AFTER_LOSS[what][0 if again else 1]
    found = reason if again else f"{reason}, as {count - 1} attempts before it"
    return {
        "code": "process_died",
        "message": f"{found}. {remedy}",
        "expected": "The process of a job runs until it is done",
        "found": found,
        "remedy": remedy,
    }
