"""`python -m training_jobs` starts a worker."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from core.errors import PromptoscopeError
from core.records.migrate import open_database
from core.settings import Settings
from training_jobs.executors import make_executor
from training_jobs.worker import Worker


def main(arguments: list[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; jobs go on without the worker and are found again by the next one."""
    parser = argparse.ArgumentParser(prog="python -m training_jobs", description="Start a worker.")
    parser.add_argument("--slots", type=int, help="jobs at once; without it, one for each device")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs each job asks a Ray cluster for")
    parser.add_argument(
        "--stop-jobs",
        action="store_true",
        # The first process of a container takes every other one with it.
        default=os.getpid() == 1,
        help="give running jobs back to the queue when the worker stops, as in a container",
    )
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings()
        database = open_database(settings.database)
        Worker(database, make_executor(settings, asked.slots, asked.gpus)).run(stop, stop_jobs=asked.stop_jobs)
    except PromptoscopeError as error:
        logging.error("%s", error.sentence)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
