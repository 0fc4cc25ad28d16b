"""Inside the process of a job: load what was asked, train or do what else it is for, and seal the result.

`python -m training_jobs.run_job JOB_ID --token FENCE`
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.disk import Reserve
from core.errors import DatabaseAway, DiskFull
from core.images.image_set import ImageSet
from core.images.signature_store import kept_signatures
from core.records import descriptions, image_sets, jobs, models, runs
from core.records.audit import add_audit_entry
from core.records.runs import RunRequest
from core.records.session import Database
from core.settings import Settings
from core.tuning.model_folder import describe_model_folder
from training_jobs import job_queue
from training_jobs.batch_job import run_batch_job
from training_jobs.description_job import run_task
from training_jobs.experiment_job import run_experiment
from training_jobs.job_log import CHECKPOINT, JobLog, job_folder, log_path
from training_jobs.opened import check_named_models
from training_jobs.patience import error_dict, patiently
from training_jobs.processes import give_way, started
from training_jobs.reporter import Reporter, StopRequested, Superseded

DONE, CANCELLED, SUPERSEDED, GIVEN_BACK = 0, 3, 4, 5
# How long a job that cannot be given back waits for its database before its worker has to find out.
GIVE_BACK_TRIES = 120

Train = Callable[..., Any]
"""What trains: `core.tuning.train.train`, or something that takes and gives the same."""


class Terminated(BaseException):
    """SIGTERM came. Not an Exception, so that no handler on the way takes it for an error of the training."""


@dataclass(frozen=True)
class Work:
    """All that one attempt needs: the rows it stands for, and where it writes.

    run_id, experiment_id, task_id, batch_id: what the job is for; the others are empty.
    """

    database: Database
    settings: Settings
    job_id: str
    run_id: str
    experiment_id: str
    task_id: str
    batch_id: str
    fence: int
    log: JobLog

    @property
    def kind(self) -> str:
        """What it is at, in a word."""
        return "task" if self.task_id else "batch" if self.batch_id else "training"

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return job_folder(self.settings, self.job_id)

    @property
    def model_folder(self) -> Path:
        """Where the model goes: the same for each attempt, so a later one replaces what an earlier one left."""
        return self.settings.models_dir / self.run_id


def run_job(job_id: str, token: int, *, settings: Settings, train: Train | None = None) -> int:
    """Do a claimed job and record how it ended; returns the exit code of the process.

    token: the fence of the claim. With an older one nothing is written. train: what trains, `core.tuning.train.train`
    unless said. Raises NotFound if there is no such job.
    """
    database = Database(settings.database)
    try:
        subject = patiently(lambda: _subject_of(database, job_id))
        work = Work(database, settings, job_id, *subject, token, JobLog(log_path(settings, job_id)))
        return _run(work, train)
    finally:
        database.close()


def _subject_of(database: Database, job_id: str) -> tuple[str, str, str, str]:
    """The run, the experiment, the task or the batch that the job is for; the others are empty."""
    with database.reading() as session:
        job = jobs.find_job(session, job_id)
        subjects = (job.run_id, job.experiment_id, job.description_task_id, job.explanation_batch_id)
        run, experiment, task, batch = (subject or "" for subject in subjects)
        return run, experiment, task, batch


def main(arguments: list[str] | None = None, train: Train | None = None) -> int:
    """The process of a job: settings from the environment, SIGTERM stops it."""
    parser = argparse.ArgumentParser(prog="python -m training_jobs.run_job", description=__doc__)
    parser.add_argument("job_id", help="which job")
    parser.add_argument("--token", type=int, required=True, help="the fence it was claimed under")
    asked = parser.parse_args(arguments)
    give_way()
    signal.signal(signal.SIGTERM, _terminate)
    return run_job(asked.job_id, asked.token, settings=Settings(), train=train)


def _terminate(number: int, _frame: object) -> None:
    # Once is enough: a second signal must not interrupt the giving back.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated


def _run(work: Work, train: Train | None) -> int:
    try:
        patiently(lambda: _say_hello(work))
        with Reporter(work.database, work.job_id, work.run_id or None, work.fence, work.log) as reporter:
            if work.run_id:
                trained = _train(work, reporter, train)
                model = describe_model_folder(Path(trained.record["model"]))
                patiently(lambda: _seal(work, reporter, trained, model))
            else:
                run, subject = _rest_of(work)
                run(work.database, work.settings, subject, work.job_id, work.fence, reporter, work.log)
    except Superseded:
        work.log.write("stopped: another attempt has taken the job over")
        return SUPERSEDED
    except StopRequested:
        work.log.write("stopped: cancelled")
        _discard_model(work)
        return CANCELLED
    except Terminated:
        return _give_back(work, "stopped from outside")
    except DatabaseAway as error:
        # Nothing is wrong with the training, so it must not fail for it.
        work.log.write_failure(error)
        return patiently(lambda: _give_back(work, "the database did not answer"), GIVE_BACK_TRIES)
    except Exception as error:  # whatever a training can raise must end in its row, not in a silent process
        work.log.write_failure(error)
        return _fail(work, error_dict(error, work.kind))
    shutil.rmtree(work.folder / CHECKPOINT, ignore_errors=True)
    work.log.write("succeeded")
    return DONE


def _rest_of(work: Work) -> tuple[Callable[..., None], str]:
    """What does the work that is no training alone, and for what."""
    if work.task_id:
        return run_task, work.task_id
    return (run_batch_job, work.batch_id) if work.batch_id else (run_experiment, work.experiment_id)


def _say_hello(work: Work) -> None:
    pid = os.getpid()
    with work.database.writing() as session:
        if not jobs.beat(session, work.job_id, work.fence).ours:
            raise Superseded
        jobs.record_process(session, work.job_id, work.fence, pid=pid, pid_started=started(pid))
    work.log.write(f"process {pid} starts")


def _train(work: Work, reporter: Reporter, train: Train | None) -> Any:
    if train is None:
        from core.tuning.train import train as core_train

        train = core_train
    request, image_set, sentences = patiently(lambda: _load(work))
    _check_folders(request, work.settings)
    work.log.write(f"method {request.method}, backbone {request.backbone}, seed {request.seed}")
    with kept_signatures(work.settings.signatures_path):
        return train(
            image_set,
            request.method,
            backbone=request.backbone,
            shots=request.shots,
            seed=request.seed,
            epochs=request.epochs,
            views=request.views,
            options=dict(request.options),
            variant=request.variant,
            recipe=request.recipe,
            descriptions=sentences,
            modality=request.modality,
            template=request.template,
            out=work.model_folder,
            home=work.settings.home,
            progress=reporter,
            checkpoint_dir=work.folder / CHECKPOINT,
            allow_leakage=request.allow_leakage,
        )


def _check_folders(request: RunRequest, settings: Settings) -> None:
    """Jobs come from the site: what may be named there is checked again, since settings change while jobs wait."""
    from core.backbones.catalogue import find_folder

    find_folder(request.backbone, settings.home, folders=settings.allow_folders)
    check_named_models(request.options, settings.allow_folders)


def _load(work: Work) -> tuple[RunRequest, ImageSet, Any]:
    with work.database.reading() as session:
        request = runs.load_request(session, work.run_id)
        image_set = image_sets.load_image_set(session, request.image_set, work.settings.images_dir)
        version = request.description_version_id
        return request, image_set, descriptions.load_descriptions(session, version) if version else None


def _seal(work: Work, reporter: Reporter, trained: Any, model: Mapping[str, Any]) -> None:
    """Run, predictions, model and the job's end in one transaction: all of it or nothing."""
    with work.database.writing() as session:
        held = jobs.beat(session, work.job_id, work.fence, reporter.latest)
        if not held.ours:
            raise Superseded
        if held.cancel_requested:
            raise StopRequested
        runs.write_epoch_metrics(session, work.run_id, reporter.pending_epochs)
        runs.seal_run(session, work.run_id, trained.record, trained.predictions, trained.drawn)
        name = runs.find_run(session, work.run_id).name
        models.add_model(session, work.run_id, name=name, **model)
        job_queue.succeed(session, work.job_id, work.fence)
        add_audit_entry(session, "worker", "seal", "run", work.run_id, {"job_id": work.job_id})


def _fail(work: Work, error: Mapping[str, Any]) -> int:
    def write() -> None:
        try:
            _write_failure(work, error)
        except DiskFull:
            # The reason is worth the room that is held back for deletions.
            Reserve.of(work.settings.home).release()
            raise

    patiently(write)
    return DONE


def _write_failure(work: Work, error: Mapping[str, Any]) -> None:
    with work.database.writing() as session:
        if job_queue.fail(session, work.job_id, work.fence, error):
            _discard_model(work)


def _discard_model(work: Work) -> None:
    """No row will name it. An experiment's cells have models of their own, and see to them."""
    if work.run_id:
        shutil.rmtree(work.model_folder, ignore_errors=True)


def _give_back(work: Work, why: str) -> int:
    """A cancelled job is finished by its worker, any other waits in the queue for the next process."""
    with work.database.writing() as session:
        if jobs.is_cancel_requested(session, work.job_id):
            work.log.write("stopped: cancelled")
            return CANCELLED
        job_queue.give_back(session, work.job_id, work.fence)
    last = {"task": "class", "batch": "measure", "training": "epoch"}[work.kind]
    work.log.write(f"{why}; it goes on from the last finished {last} later")
    return GIVEN_BACK


if __name__ == "__main__":
    sys.exit(main())
