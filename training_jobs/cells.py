"""The cells of an experiment, taken by this process one after the other: as a job, or in the foreground.

Several processes may work on one experiment. Each takes waiting cells, a few at once where they differ in their seed
only and can therefore be trained in step, and records each result in one transaction with all that belongs to it. Cells
of a process that died wait again, and go on from their last finished epoch.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from core.disk import is_full
from core.errors import DatabaseAway, DiskFull, PromptoscopeError, Unavailable
from core.records import audit, experiments, models, runs
from core.records.experiments import ClaimedCell, HeldCell, Holder
from core.records.runs import EpochMetric, RunRequest
from core.records.session import Database
from core.records.types import now
from core.settings import Settings
from core.tuning.model_folder import describe_model_folder
from training_jobs import job_queue
from training_jobs.opened import Opened
from training_jobs.patience import error_dict, patiently
from training_jobs.processes import started, this_host

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.grid import CellResult
    from core.tuning.progress import Progress

BEAT_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
SILENT_AFTER = timedelta(minutes=2)
"""A process of another host that has not been heard of for so long has lost its cells."""
LONGEST_NAME = 300


class CellLost(Exception):
    """Somebody else holds the cell by now: its result is not to be recorded here."""


class Listener:
    """Who follows the work on cells. This one does not; each method may raise to end the work."""

    def check(self, session: Session) -> None:
        """Called in every transaction that takes cells or records a result."""

    def progress(self, cell: Cell, progress: Progress) -> None:
        """A training that is at work reports."""

    def ended(self, positions: Sequence[int]) -> None:
        """These cells are done or have failed, and are recorded so."""

    def failed(self, cell: Cell, error: Exception) -> None:
        """A cell is about to be recorded as failed, for this error."""

    def waiting(self) -> None:
        """What is left is in the hands of other processes."""


def recover(database: Database, settings: Settings, experiment_id: str) -> int:
    """Let cells wait again whose process is gone, or whose result was deleted; how many are then not at their end.

    A cell over which the processes of jobs died again and again has failed; in a terminal a person decides.
    """
    with database.writing() as session:
        for held in experiments.held_cells(session, experiment_id):
            if _is_dead(held) and _leave(session, held):
                shutil.rmtree(settings.models_dir / held.claim, ignore_errors=True)
        experiments.recover_lost_results(session, experiment_id)
        counts = experiments.count_cells(session, experiment_id)
    return counts["waiting"] + counts["running"]


def _leave(session: Session, held: HeldCell) -> bool:
    if held.holder.job_id is None or held.attempts < job_queue.MAX_LOST_ATTEMPTS:
        return experiments.give_back_cell(session, held.claim)
    error = job_queue.lost_error("The job's process died", held.attempts)
    return experiments.fail_cell(session, held.claim, error, 0.0)


@dataclass
class Work:
    """This process at work on an experiment. job_id, fence: where it is a job's."""

    database: Database
    settings: Settings
    opened: Opened
    listener: Listener = field(default_factory=Listener)
    job_id: str | None = None
    fence: int | None = None
    _held: list[str] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Work until no cell waits and none is in other hands. What ends it earlier leaves every cell recorded or
        waiting.
        """
        self._recover()
        with self._beating():
            while True:
                cells, taken_over = patiently(self._claim)
                if taken_over:
                    self.listener.ended(taken_over)
                if cells:
                    self._train(cells)
                elif not taken_over and not self._others_work():
                    return

    def waiting(self) -> list[Cell]:
        """Cells that are to be trained: those that wait and have no finished twin."""
        with self.database.reading() as session:
            rows = experiments.waiting_cells(session, self.opened.id)
            cells = [self.opened.cell(row) for row in rows]
            hashes = {cell.position: self._hash(cell) for cell in cells}
            known = experiments.runs_of_hashes(session, [each for each in hashes.values() if each])
        return [cell for cell in cells if hashes[cell.position] not in known]

    def _recover(self) -> None:
        patiently(lambda: recover(self.database, self.settings, self.opened.id))

    def _others_work(self) -> bool:
        """Whether other processes hold cells; waits a moment if so."""
        self._recover()
        with self.database.reading() as session:
            counts = experiments.count_cells(session, self.opened.id)
        if not counts["waiting"] and not counts["running"]:
            return False
        self.listener.waiting()
        time.sleep(0 if counts["waiting"] else LOOK_EVERY_S)
        return True

    def _claim(self) -> tuple[list[ClaimedCell], list[int]]:
        """Cells that are ours to train, and positions of those that have just got the result of a finished twin."""
        from core.experiments.cells import MOST_IN_STEP

        holder = Holder(this_host(), os.getpid(), started(os.getpid()), self.job_id, self.fence)
        mine, taken_over = [], []
        with self.database.writing() as session:
            self.listener.check(session)
            for claimed in experiments.claim_cells(session, self.opened.id, holder, MOST_IN_STEP):
                name = self._hash(self.opened.cell(claimed))
                if name is None:
                    experiments.begin_cell(session, claimed.claim)
                elif experiments.take_over(session, claimed.claim, name):
                    taken_over.append(claimed.position)
                    continue
                mine.append(claimed)
        return mine, taken_over

    def _hash(self, cell: Cell) -> str | None:
        """The name of a cell's result; None where what is wrong with it shows before it is trained."""
        try:
            return self.opened.grid.hash(cell)
        except PromptoscopeError:
            return None

    def _train(self, cells: Sequence[ClaimedCell]) -> None:
        from core.experiments.grid import Order, run_each

        self._held[:] = [cell.claim for cell in cells]
        begun = time.monotonic()
        epochs: dict[str, dict[int, EpochMetric]] = {cell.claim: {} for cell in cells}
        orders = [
            Order(
                self.opened.cell(cell),
                self.settings.models_dir / cell.claim,
                partial(self._report, self.opened.cell(cell), epochs[cell.claim]),
                self._checkpoint(cell),
            )
            for cell in cells
        ]
        try:
            found = run_each(self.opened.grid, orders, lambda error: not _is_no_fault_of_a_cell(error))
            for cell, result in zip(cells, found, strict=True):
                self._end(cell, result, list(epochs[cell.claim].values()), time.monotonic() - begun)
                begun = time.monotonic()
        finally:
            self._give_back()

    def _end(
        self, cell: ClaimedCell, result: CellResult | Exception, epochs: list[EpochMetric], seconds: float
    ) -> None:
        """Record what a cell gave. Whatever else goes wrong with it must end in its own row too."""
        try:
            if isinstance(result, Exception):
                raise result
            self._record(cell, result, epochs)
        except Exception as error:
            if _is_no_fault_of_a_cell(error):
                raise
            self._record_failure(cell, error, seconds)

    def _report(self, cell: Cell, epochs: dict[int, EpochMetric], found: Progress) -> None:
        if found.epoch is not None and found.loss is not None:
            epochs[found.epoch] = EpochMetric(
                found.epoch, found.loss, dict(found.terms), found.learning_rate, found.train_accuracy
            )
        self.listener.progress(cell, found)

    def _record(self, cell: ClaimedCell, result: CellResult, epochs: list[EpochMetric]) -> None:
        model = describe_model_folder(Path(result.record["model"]))
        try:
            patiently(lambda: self._seal(cell, result, epochs, model))
        except CellLost:
            shutil.rmtree(self.settings.models_dir / cell.claim, ignore_errors=True)
            self._held.remove(cell.claim)
            return
        self._done(cell)

    def _seal(self, cell: ClaimedCell, result: CellResult, epochs: list[EpochMetric], model: dict[str, Any]) -> None:
        """Run, answers, draw, model and the cell's end in one transaction: all of it or nothing."""
        targets = self.opened.sources.get("targets", {})
        with self.database.writing() as session:
            self.listener.check(session)
            request = self._request(session, cell)
            run_id = runs.add_run(
                session, request, run_id=cell.claim, protocol=self.opened.spec.protocol, share=cell.share
            )
            runs.write_epoch_metrics(session, run_id, epochs)
            runs.seal_run(session, run_id, result.record, result.predictions, result.drawn, elsewhere=targets)
            models.add_model(session, run_id, name=request.label, **model)
            if not experiments.finish_cell(session, cell.claim, run_id, float(result.record["seconds"])):
                raise CellLost
            audit.add_audit_entry(session, "worker", "seal", "run", run_id, {"experiment_id": self.opened.id})

    def _request(self, session: Session, cell: ClaimedCell) -> RunRequest:
        """The cell as a training that could be asked for alone."""
        spec, planned = self.opened.spec, self.opened.cell(cell)
        setup = self.opened.grid.setup(planned)
        versions, wording = self.opened.versions, cell.descriptions or ""
        version = versions.get((cell.image_set, wording)) or versions.get(("", wording))
        return RunRequest(
            self.opened.sources["images"][cell.image_set],
            setup.method,
            backbone=spec.backbone,
            variant=setup.variant,
            recipe=planned.candidate.recipe,
            shots=cell.shots,
            seed=cell.seed,
            epochs=setup.epochs,
            views=setup.views,
            options=setup.options,
            description_version_id=experiments.existing_version(session, version),
            modality=spec.modality,
            template=spec.template,
            allow_leakage=spec.allow_leakage,
            name=planned.label[:LONGEST_NAME],
        )

    def _record_failure(self, cell: ClaimedCell, error: Exception, seconds: float) -> None:
        self.listener.failed(self.opened.cell(cell), error)
        shutil.rmtree(self.settings.models_dir / cell.claim, ignore_errors=True)

        def write() -> None:
            with self.database.writing() as session:
                self.listener.check(session)
                experiments.fail_cell(session, cell.claim, error_dict(error), seconds)

        patiently(write)
        self._done(cell)

    def _done(self, cell: ClaimedCell) -> None:
        self._held.remove(cell.claim)
        shutil.rmtree(self._checkpoint(cell), ignore_errors=True)
        self.listener.ended([cell.position])

    def _checkpoint(self, cell: ClaimedCell) -> Path:
        return self.settings.experiments_dir / self.opened.id / cell.id

    def _give_back(self) -> None:
        """Whatever ended the work, cells that have no end of their own wait for the next process."""
        left, self._held[:] = list(self._held), []
        if not left:
            return
        # where the database is away, they wait until somebody sees that this process is gone
        with suppress(Unavailable), self.database.writing() as session:
            for claim in left:
                experiments.give_back_cell(session, claim)
        for claim in left:
            shutil.rmtree(self.settings.models_dir / claim, ignore_errors=True)

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Others hear meanwhile that the cells which this process holds are in living hands."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT_EVERY_S):
                if claims := list(self._held):
                    with suppress(Unavailable), self.database.writing() as session:
                        experiments.beat_cells(session, claims)

        thread = threading.Thread(target=beat, name="cells", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _is_no_fault_of_a_cell(error: Exception) -> bool:
    """Whether the next cell would meet the same: then all stop, and none has failed."""
    from training_jobs.reporter import StopRequested, Superseded

    return isinstance(error, DatabaseAway | DiskFull | StopRequested | Superseded) or is_full(error)


def _is_dead(held: HeldCell) -> bool:
    if held.job_is_at_work is False:
        return True
    if held.holder.host == this_host():
        return started(held.holder.pid) != held.holder.pid_started
    return held.heartbeat_at is None or now() - held.heartbeat_at > SILENT_AFTER
