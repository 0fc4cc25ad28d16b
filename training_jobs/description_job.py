"""The job of a task about descriptions: its parts, with progress and cancelling as of every other job."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.orm import Session

from core.errors import PromptoscopeError
from core.records import description_tasks as tasks
from core.records import jobs
from core.records.audit import add_audit_entry
from core.records.session import Database
from core.settings import Settings
from training_jobs import evidence, job_queue, writing
from training_jobs.job_log import JobLog
from training_jobs.patience import patiently
from training_jobs.reporter import Reporter, StopRequested, Superseded


def run_task(
    database: Database, settings: Settings, task_id: str, job_id: str, fence: int, reporter: Reporter, log: JobLog
) -> None:
    """Do what is left of a task, and end the job with its result.

    Parts that failed before a person had the job tried again are done again. Raises Superseded and StopRequested, and
    the error that the job is to end with.
    """
    task = patiently(lambda: _begin(database, task_id, job_id))
    heard = JobListener(job_id, fence, reporter, log)
    if task.kind == tasks.EVIDENCE:
        result = evidence.weigh_task(database, settings, task, heard.weighs)
    else:
        result = writing.WritingWork(database, settings, task_id, heard, folders=settings.allow_folders).run()
    patiently(lambda: _end(database, task, job_id, heard, result))


def _begin(database: Database, task_id: str, job_id: str) -> tasks.Task:
    with database.writing() as session:
        tasks.wait_again(session, task_id, before=jobs.find_job(session, job_id).queued_at)
        return tasks.find_task(session, task_id)


def _end(database: Database, task: tasks.Task, job_id: str, heard: JobListener, result: dict[str, Any]) -> None:
    with database.writing() as session:
        heard.check(session)
        tasks.finish_task(session, task.id, result)
        job_queue.succeed(session, job_id, heard.fence, _outcome(task, result))
        add_audit_entry(session, "worker", "finish", "description_task", task.id, {"job_id": job_id})


def _outcome(task: tasks.Task, result: dict[str, Any]) -> str:
    if task.kind == tasks.EVIDENCE:
        found = result["summary"]
        known = f"{found['helpful']} helpful, {found['harmful']} harmful, {found['cannot_tell']} cannot be told"
        return f"{found['sentences']} sentences weighed: {known}."
    dropped = f", {result['dropped']} left out" if result["dropped"] else ""
    return f"{result['sentences']} sentences written{dropped}."


class JobListener(writing.Listener):
    """Tells the job's row where the task stands, and the work on it whether to go on."""

    def __init__(self, job_id: str, fence: int, reporter: Reporter, log: JobLog) -> None:
        self._job_id, self.fence, self._reporter, self._log = job_id, fence, reporter, log
        self._begun, self._here, self._label = time.monotonic(), 0, ""

    def check(self, session: Session) -> None:
        held = jobs.beat(session, self._job_id, self.fence, self._reporter.latest)
        if not held.ours:
            raise Superseded
        if held.cancel_requested:
            raise StopRequested

    def stands(self, counts: dict[str, int], label: str | None) -> None:
        """done and total of the job are parts; the time left is judged by those that this process has ended."""
        self._label = label or self._label
        total, over = sum(counts.values()), counts["done"] + counts["failed"]
        spent = time.monotonic() - self._begun
        left = spent / self._here * (total - over) if self._here else None
        self._reporter.stand_at(stage="writing", done=over, total=total, seconds_left=left, note=self._label or None)

    def ended(self, label: str, sentences: int, dropped: int, error: PromptoscopeError | None) -> None:
        self._here += 1
        out = f", {dropped} left out" if dropped else ""
        self._log.write(f"a class failed: {error.code}" if error else f"a class is written: {sentences} sentences{out}")

    def waiting(self) -> None:
        self._reporter.raise_if_stopped()

    def told(self, line: str) -> None:
        self._log.write(line)

    def weighs(self, what: str, done: int, total: int) -> None:
        """Progress of evidence. Raises StopRequested or Superseded."""
        if what != self._label:
            self._label = what
            self._log.write(f"stage {what}")
        self._reporter.stand_at(stage="evidence", done=done, total=total, note=what)
        self._reporter.raise_if_stopped()
