"""The worker: claims jobs, starts their processes, and settles those that ended, were cancelled or died.

It holds nothing that SQL does not: when it is killed, its jobs go on, and the next worker finds them by heartbeat
and pid.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import datetime

from core.disk import is_full
from core.errors import PromptoscopeError, Unavailable
from core.records import jobs
from core.records.ids import new_id
from core.records.jobs import Claim, RunningAttempt
from core.records.session import Database
from training_jobs import job_queue
from training_jobs.executors.contract import Executor

log = logging.getLogger(__name__)

POLL_S = 0.5
BEAT_EVERY_S = 5.0
GRACE_S = 10.0
STALE_AFTER_S = 60.0
EXECUTOR_PAUSE_S = 10.0

Key = tuple[str, int]


class Worker:
    """One loop over the queue; any number of workers may run side by side.

    poll_s: pause between looks at the queue. grace_s: from SIGTERM to SIGKILL. stale_after_s: how long an attempt
    may be silent, by this worker's own clock, before it counts as dead.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        *,
        poll_s: float = POLL_S,
        grace_s: float = GRACE_S,
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:
        self._database, self._executor = database, executor
        self._poll_s, self._grace_s, self._stale_after_s = poll_s, grace_s, stale_after_s
        self._id = new_id()
        self._beat_at = float("-inf")
        self._claim_again_at = float("-inf")
        self._heard: dict[Key, tuple[datetime | None, float]] = {}
        self._told_to_stop: dict[Key, float] = {}

    def run(self, stop: threading.Event, *, stop_jobs: bool = False) -> None:
        """Work until `stop` is set. Jobs then go on by themselves, unless stop_jobs asks that they be given back."""
        while not stop.is_set():
            try:
                self.tick()
            except Unavailable as error:
                log.warning("the worker waits: %s", error.sentence)
                # Jobs could not be heard meanwhile, so their silence says nothing.
                self._heard.clear()
            stop.wait(self._poll_s)
        try:
            if stop_jobs:
                self._give_all_back()
            with self._database.writing() as session:
                jobs.drop_worker(session, self._id)
        except Unavailable as error:
            log.warning("the worker stopped without saying goodbye: %s", error.sentence)

    def tick(self) -> None:
        """One look: settle what has changed, then start what fits."""
        self._beat()
        with self._database.reading() as session:
            attempts = jobs.running_attempts(session)
        for attempt in attempts:
            self._settle(attempt)
        keys = {_key(attempt) for attempt in attempts}
        self._forget(keys)
        self._start_waiting()

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at < BEAT_EVERY_S:
            return
        with self._database.writing() as session:
            jobs.beat_worker(
                session,
                self._id,
                host=self._executor.host,
                pid=os.getpid(),
                executor=self._executor.name,
                slots=self._executor.slots,
            )
        self._beat_at = time.monotonic()

    def _settle(self, attempt: RunningAttempt) -> None:
        if attempt.executor != self._executor.name:
            self._settle_by_heartbeat(attempt)
        elif attempt.cancel_requested:
            self._settle_cancelled(attempt)
        else:
            self._settle_running(attempt)

    def _settle_running(self, attempt: RunningAttempt) -> None:
        sighting = self._executor.look(attempt)
        if sighting.state == "unknown":
            self._settle_by_heartbeat(attempt)
        elif sighting.state == "gone":
            # Its children must not go on computing, and writing, beside the next attempt.
            self._executor.stop(attempt, by_force=True)
            self._lose(attempt, sighting.reason)
        elif attempt.pid is not None and self._is_stale(attempt):
            self._executor.stop(attempt, by_force=True)
            self._lose(attempt, f"The job's process gave no sign of life for {self._stale_after_s:.0f} s")

    def _settle_cancelled(self, attempt: RunningAttempt) -> None:
        cleared = self._executor.is_cleared(attempt)
        if cleared or (cleared is None and self._is_stale(attempt)):
            with self._database.writing() as session:
                if job_queue.finish_cancelled(session, attempt.job_id, attempt.fence):
                    log.info("job %s is cancelled", attempt.job_id)
            return
        told = self._told_to_stop.get(_key(attempt))
        if told is None:
            self._told_to_stop[_key(attempt)] = time.monotonic()
            self._executor.stop(attempt, by_force=False)
        elif time.monotonic() - told > self._grace_s:
            self._executor.stop(attempt, by_force=True)

    def _settle_by_heartbeat(self, attempt: RunningAttempt) -> None:
        if self._is_stale(attempt):
            self._lose(attempt, f"Nothing was heard of the job's process for {self._stale_after_s:.0f} s")

    def _is_stale(self, attempt: RunningAttempt) -> bool:
        """Whether its heartbeat has stood still while we watched: clocks of other hosts and a sleep do not matter."""
        heard = self._heard.get(_key(attempt))
        if heard is None or heard[0] != attempt.heartbeat_at:
            self._heard[_key(attempt)] = (attempt.heartbeat_at, time.monotonic())
            return False
        return time.monotonic() - heard[1] > self._stale_after_s

    def _lose(self, attempt: RunningAttempt, reason: str) -> None:
        with self._database.writing() as session:
            if job_queue.lose(session, attempt.job_id, attempt.fence, reason):
                log.warning("job %s, attempt %d: %s", attempt.job_id, attempt.number, reason)

    def _start_waiting(self) -> None:
        if time.monotonic() < self._claim_again_at:
            return
        while self._has_waiting():
            try:
                self._executor.check()
            except PromptoscopeError as error:
                log.warning("no job is started: %s", error.sentence)
                self._claim_again_at = time.monotonic() + EXECUTOR_PAUSE_S
                return
            with self._database.writing() as session:
                claim = job_queue.claim(
                    session, executor=self._executor.name, host=self._executor.host, slots=self._executor.slots
                )
            if claim is None or not self._start(claim):
                return

    def _has_waiting(self) -> bool:
        # Reading costs no lock, and the queue is empty most of the time.
        with self._database.reading() as session:
            return jobs.has_free_work(session, host=self._executor.host, slots=self._executor.slots)

    def _start(self, claim: Claim) -> bool:
        try:
            started = self._executor.start(claim)
        except (PromptoscopeError, OSError) as error:
            log.warning("job %s could not be started: %s", claim.job_id, type(error).__name__)
            self._claim_again_at = time.monotonic() + EXECUTOR_PAUSE_S
            with self._database.writing() as session:
                job_queue.lose(session, claim.job_id, claim.fence, _not_started(error))
            return False
        with self._database.writing() as session:
            jobs.record_process(
                session,
                claim.job_id,
                claim.fence,
                pid=started.pid,
                pid_started=started.pid_started,
                external_id=started.external_id,
            )
        log.info("job %s, attempt %d: started", claim.job_id, claim.attempt)
        return True

    def _forget(self, keys: set[Key]) -> None:
        self._executor.forget(keys)
        self._heard = {key: value for key, value in self._heard.items() if key in keys}
        self._told_to_stop = {key: value for key, value in self._told_to_stop.items() if key in keys}

    def _give_all_back(self) -> None:
        """Stop this host's processes; each gives its job back at its last finished epoch."""
        deadline = time.monotonic() + self._grace_s
        mine = self._mine()
        for attempt in mine:
            self._executor.stop(attempt, by_force=False)
        while mine and time.monotonic() < deadline:
            time.sleep(min(self._poll_s, 0.1))
            mine = [attempt for attempt in mine if self._executor.is_cleared(attempt) is False]
        for attempt in mine:
            self._executor.stop(attempt, by_force=True)
        for attempt in self._mine():
            with self._database.writing() as session:
                job_queue.give_back(session, attempt.job_id, attempt.fence)

    def _mine(self) -> list[RunningAttempt]:
        with self._database.reading() as session:
            attempts = jobs.running_attempts(session)
        return [each for each in attempts if (each.executor, each.host) == (self._executor.name, self._executor.host)]


def _not_started(error: Exception) -> str:
    why = ", because the disk is full" if is_full(error) else ""
    return f"The job's process could not be started{why}"


def _key(attempt: RunningAttempt) -> Key:
    return attempt.job_id, attempt.fence
