"""Ways of running the processes of jobs; all run the same entry point."""

from __future__ import annotations

from core.settings import Settings
from training_jobs.executors.contract import Executor


def make_executor(settings: Settings, slots: int | None = None, gpus: float = 0) -> Executor:
    """The executor the settings ask for.

    slots: jobs at once; without it the executor's own number. gpus: what each job asks Ray for.
    """
    if settings.executor == "ray":
        from training_jobs.executors.ray import RayExecutor

        return RayExecutor(settings, slots, gpus)
    from training_jobs.executors.local import LocalExecutor

    return LocalExecutor(settings, slots)
