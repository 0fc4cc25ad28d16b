"""What a training tells of itself arrives whole, however fast it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.records import jobs, runs
from core.records.session import Database
from core.settings import Settings
from core.tuning.progress import Progress
from tests.training_jobs.conftest import submit
from training_jobs import job_queue
from training_jobs.job_log import JobLog
from training_jobs.reporter import Reporter


def told(database: Database, settings: Settings, log: Path, reports: list[Progress]) -> tuple[dict, Reporter, str]:
    """The job after a training that reports all this at once, its reporter and its run."""
    job_id = submit(database, settings)
    with database.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
    with Reporter(database, job_id, claim.run_id, claim.fence, JobLog(log)) as reporter:
        for report in reports:
            reporter(report)
        reporter.flush()
    with database.reading() as session:
        return jobs.job_dict(session, job_id), reporter, claim.run_id


def epoch(number: int, of: int) -> Progress:
    return Progress("training", done=number, total=of, epoch=number, epochs=of, loss=1 / number)


@pytest.mark.parametrize("after", [["tuning", "evaluation", "saving"], ["saving"], []])
def test_a_training_that_is_done_shows_its_last_epoch(
    database: Database, settings: Settings, tmp_path: Path, after: list[str]
) -> None:
    reports = [epoch(number, 100) for number in range(1, 101)] + [Progress(stage) for stage in after]
    job, reporter, run_id = told(database, settings, tmp_path / "log", reports)
    assert (job["stage"], job["epoch"], job["epochs"]) == (([*after] or ["training"])[-1], 100, 100)
    assert (reporter.latest["epoch"], reporter.latest["epochs"]) == (100, 100)
    with database.reading() as session:
        assert [row["epoch"] for row in runs.epoch_metrics(session, run_id)] == list(range(1, 101))


def test_a_training_that_was_resumed_after_its_last_epoch_shows_it(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    # a resumed training says at once what was done before
    job, _, _ = told(database, settings, tmp_path / "log", [epoch(n, 7) for n in range(1, 8)] + [Progress("saving")])
    assert (job["epoch"], job["epochs"]) == (7, 7)


def test_a_training_without_epochs_has_none(database: Database, settings: Settings, tmp_path: Path) -> None:
    job, _, _ = told(database, settings, tmp_path / "log", [Progress("features", 3, 3), Progress("saving")])
    assert (job["stage"], job["epoch"], job["epochs"]) == ("saving", None, None)
