"""Jobs on an existing Ray cluster, which chooses the node and the devices. SQL stays the truth."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import make_url

from core.errors import Unavailable
from core.records.jobs import Claim, RunningAttempt
from core.settings import Settings
from training_jobs.executors.contract import Sighting, Started

# Ray queues what does not fit; this only bounds how much is handed over at once.
SLOTS = 64
WAITING_OR_RUNNING = {"PENDING", "RUNNING"}


class RayExecutor:
    """Submits one fixed command with a job's id and token, by Ray's job API.

    The cluster is named by RAY_ADDRESS (`http://head:8265`). Its nodes need this project installed, the home folder
    under the same path and, if the database's URL holds a password, PROMPTOSCOPE_DATABASE_URL of their own: what is
    handed to Ray can be read on its dashboard. gpus: how many each job asks for. client: Ray's JobSubmissionClient,
    made on first use unless given.
    """

    name = "ray"

    def __init__(self, settings: Settings, slots: int | None = None, gpus: float = 0, client: Any = None) -> None:
        self._settings, self._gpus, self._made_client = settings, gpus, client
        self.slots = slots or SLOTS
        self.host = f"ray/{os.environ.get('RAY_ADDRESS', 'local')}"

    def check(self) -> None:
        """Raises Unavailable if Ray is not installed or the cluster does not answer."""
        self._ask(lambda client: client.get_version())

    def start(self, claim: Claim) -> Started:
        """Submit the job under a name of its own, so that submitting it twice starts it once."""
        name = f"promptoscope-{claim.job_id}-{claim.fence}"
        self._ask(
            lambda client: client.submit_job(
                entrypoint=f"python -m training_jobs.run_job {claim.job_id} --token {claim.fence}",
                submission_id=name,
                runtime_env={"env_vars": self._environment()},
                entrypoint_num_cpus=1,
                entrypoint_num_gpus=self._gpus,
            )
        )
        return Started(external_id=name)

    def look(self, attempt: RunningAttempt) -> Sighting:
        """By Ray's own status; "unknown" while the cluster does not answer."""
        if attempt.external_id is None:
            return Sighting("unknown")
        try:
            status = self._ask(lambda client: client.get_job_status(attempt.external_id))
        except Unavailable:
            return Sighting("unknown")
        word = str(getattr(status, "value", status))
        if word in WAITING_OR_RUNNING:
            return Sighting("alive")
        return Sighting("gone", f"The Ray cluster says that the job's process {word.lower()}")

    def is_cleared(self, attempt: RunningAttempt) -> bool | None:
        """Whether Ray has ended the job and its children."""
        sighting = self.look(attempt)
        return None if sighting.state == "unknown" else sighting.state == "gone"

    def stop(self, attempt: RunningAttempt, *, by_force: bool) -> None:
        """Ask Ray to end the job; it sends SIGTERM and then SIGKILL by itself."""
        if attempt.external_id is None or by_force:
            return
        try:
            self._ask(lambda client: client.stop_job(attempt.external_id))
        except Unavailable:
            return  # the process sees the wish in SQL, too

    def forget(self, attempts: set[tuple[str, int]]) -> None:
        """Nothing is held here."""

    def _environment(self) -> dict[str, str]:
        environment = {"PROMPTOSCOPE_HOME": str(self._settings.home.resolve())}
        if not make_url(self._settings.database).password:
            environment["PROMPTOSCOPE_DATABASE_URL"] = self._settings.database
        return environment

    def _ask(self, question: Any) -> Any:
        if self._made_client is None:
            self._made_client = _client()
        try:
            return question(self._made_client)
        except Exception as error:  # Ray raises plain RuntimeErrors and those of its HTTP client
            raise _unreachable(type(error).__name__) from error


def _client() -> Any:
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise Unavailable(
            "The executor 'ray' needs Ray",
            "it is not installed here",
            "Install it with `pip install promptoscope[ray]`, or set PROMPTOSCOPE_EXECUTOR=local.",
        ) from None
    try:
        return JobSubmissionClient()
    except Exception as error:  # see `_ask`
        raise _unreachable(type(error).__name__) from error


def _unreachable(found: str) -> Unavailable:
    return Unavailable(
        "The Ray cluster answers",
        f"it did not ({found})",
        "Check RAY_ADDRESS, such as http://head:8265, or set PROMPTOSCOPE_EXECUTOR=local.",
    )
