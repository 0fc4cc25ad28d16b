"""What a training tells the records while it runs, and how it learns that it must stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from core.errors import Unavailable
from core.records import jobs, runs
from core.records.session import Database
from training_jobs.job_log import JobLog

if TYPE_CHECKING:
    from core.tuning.progress import Progress

WRITE_EVERY_S = 0.25
BEAT_EVERY_S = 1.0
STAGE = ("stage", "done", "total", "seconds_per_epoch", "seconds_left")
"""Columns of the job that every report sets anew."""


class Superseded(Exception):
    """Another attempt holds the job by now; this one must not write any more."""


class StopRequested(Exception):
    """Somebody cancelled the job."""


class Reporter:
    """Progress callback and heartbeat of one attempt.

    Use as a context: a thread beats every second even while a stage is silent. At most four writes a second are
    made, and every epoch's numbers are kept. While the database is away the numbers wait. Calling it raises
    StopRequested or Superseded. run_id: whose epochs they are; None for an experiment, whose cells keep their own.
    """

    def __init__(self, database: Database, job_id: str, run_id: str | None, fence: int, log: JobLog) -> None:
        self._database, self._job_id, self._run_id, self._fence, self._log = database, job_id, run_id, fence, log
        self._lock = threading.RLock()
        self._latest: Progress | None = None
        # evaluating and saving come after the last epoch: its number is kept, and written with theirs
        self._last_epoch: dict[str, Any] = {}
        self._place: dict[str, Any] = {}
        self._epochs: dict[int, runs.EpochMetric] = {}
        self._written_at = 0.0
        self._stop: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Reporter:
        self.flush()
        self.raise_if_stopped()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def __call__(self, progress: Progress) -> None:
        """Take note of progress. Raises StopRequested or Superseded."""
        self.raise_if_stopped()
        with self._lock:
            self._note(progress)
            due = time.monotonic() - self._written_at >= WRITE_EVERY_S
        if due:
            self.flush()
            self.raise_if_stopped()

    def flush(self) -> None:
        """Write what is pending now, and learn whether to go on."""
        with self._lock:
            pending, self._written_at = list(self._epochs.values()), time.monotonic()
            try:
                with self._database.writing() as session:
                    held = jobs.beat(session, self._job_id, self._fence, self._columns())
                    if held.ours and self._run_id is not None:
                        runs.write_epoch_metrics(session, self._run_id, pending)
            except Unavailable:
                return  # the numbers stay pending; the next write tries again
            self._epochs.clear()
            if not held.ours:
                self._stop = Superseded()
            elif held.cancel_requested:
                self._stop = StopRequested()

    def stand_at(self, **place: Any) -> None:
        """Columns of the job that say where it stands as a whole, whatever the training at work reports of itself."""
        with self._lock:
            if place.get("note") != self._place.get("note"):
                self._last_epoch = {"epoch": None, "epochs": None}
            self._place = place

    @property
    def pending_epochs(self) -> list[runs.EpochMetric]:
        """Epochs that are not in the database yet."""
        with self._lock:
            return list(self._epochs.values())

    @property
    def latest(self) -> dict[str, Any] | None:
        """The last progress, as columns of the job."""
        with self._lock:
            return self._columns()

    def _note(self, progress: Progress) -> None:
        if self._latest is None or progress.stage != self._latest.stage:
            self._log.write(f"stage {progress.stage}")
        self._latest = progress
        if progress.epoch is not None:
            self._last_epoch = {"epoch": progress.epoch, "epochs": progress.epochs}
        if progress.epoch is None or progress.loss is None:
            return
        if self._run_id is None:
            return
        self._log.write(f"epoch {progress.epoch} of {progress.epochs}, loss {progress.loss:.6g}")
        self._epochs[progress.epoch] = runs.EpochMetric(
            progress.epoch, progress.loss, dict(progress.terms), progress.learning_rate, progress.train_accuracy
        )

    def _columns(self) -> dict[str, Any] | None:
        if self._latest is None:
            return dict(self._place) or None
        columns = {name: getattr(self._latest, name) for name in STAGE}
        return columns | self._last_epoch | self._place

    def _beat(self) -> None:
        while not self._done.wait(BEAT_EVERY_S):
            self.flush()

    def raise_if_stopped(self) -> None:
        """Raises StopRequested or Superseded where one of them has been heard."""
        if self._stop is not None:
            raise self._stop
