"""The job of an experiment: its cells, with progress and cancelling as of every other job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from core.records import experiments, jobs
from core.records.audit import add_audit_entry
from core.records.session import Database
from core.settings import Settings
from core.tuning.method_cards import method_title
from training_jobs import cells, job_queue
from training_jobs.job_log import JobLog
from training_jobs.opened import opened
from training_jobs.patience import patiently
from training_jobs.reporter import Reporter, StopRequested, Superseded

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.tuning.progress import Progress


def run_experiment(
    database: Database, settings: Settings, experiment_id: str, job_id: str, fence: int, reporter: Reporter, log: JobLog
) -> None:
    """Work on the cells until none is left, and end the job.

    The job has then succeeded even where cells failed: each says why, and can be tried again alone. Raises Superseded
    and StopRequested.
    """
    heard = JobListener(database, experiment_id, job_id, fence, reporter, log)
    with opened(database, settings, experiment_id, folders=settings.allow_folders) as found:
        log.write(f"experiment on {found.spec.backbone}, {heard.total} cells")
        cells.Work(database, settings, found, heard, job_id, fence).run()
    patiently(lambda: _end(database, experiment_id, job_id, heard))


def _end(database: Database, experiment_id: str, job_id: str, heard: JobListener) -> None:
    with database.writing() as session:
        heard.check(session)
        counts = experiments.count_cells(session, experiment_id)
        job_queue.succeed(session, job_id, heard.fence, _outcome(counts))
        add_audit_entry(session, "worker", "finish", "experiment", experiment_id, {"job_id": job_id} | counts)


def _outcome(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if counts["failed"]:
        return f"{counts['failed']} of {total} cells failed; each says why and can be tried again."
    return f"All {total} cells are done."


class JobListener(cells.Listener):
    """Tells the job's row where the experiment stands, and the work on it whether to go on."""

    def __init__(
        self, database: Database, experiment_id: str, job_id: str, fence: int, reporter: Reporter, log: JobLog
    ) -> None:
        self._database, self._experiment_id, self._job_id = database, experiment_id, job_id
        self.fence, self._reporter, self._log = fence, reporter, log
        self._begun, self._here, self._note = time.monotonic(), 0, ""
        self._count()

    def check(self, session: Session) -> None:
        held = jobs.beat(session, self._job_id, self.fence, self._reporter.latest)
        if not held.ours:
            raise Superseded
        if held.cancel_requested:
            raise StopRequested

    def progress(self, cell: Cell, progress: Progress) -> None:
        if progress.stage == "images":  # it begins; cells that are trained in step report by turns later
            self._log.write(f"cell {cell.position + 1}: {cell.candidate.method}, seed {cell.seed}")
            self._note = cell.named(method_title(cell.candidate.method))
            self._stand()
        self._reporter(progress)

    def ended(self, positions: Sequence[int]) -> None:
        self._here += len(positions)
        patiently(self._count)

    def failed(self, cell: Cell, error: Exception) -> None:
        self._log.write(f"cell {cell.position + 1} failed")
        self._log.write_failure(error)

    def waiting(self) -> None:
        self._reporter.flush()
        self._reporter.raise_if_stopped()

    def _count(self) -> None:
        with self._database.reading() as session:
            counts = experiments.count_cells(session, self._experiment_id)
        self.total = sum(counts.values())
        self._over = counts["done"] + counts["failed"]
        self._stand()

    def _stand(self) -> None:
        """done and total of the job are cells; the time that is left is judged by those that this process has ended."""
        spent = time.monotonic() - self._begun
        left = spent / self._here * (self.total - self._over) if self._here else None
        self._reporter.stand_at(done=self._over, total=self.total, seconds_left=left, note=self._note or None)
