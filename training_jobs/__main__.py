"""`python -m training_jobs` starts a worker."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from core.errors import PromptoscopeError
from core.records.migrate import open_database
from core.settings import Settings
from training_jobs.executors import make_executor
from training_jobs.worker import Worker

LAST_WORDS_S = 15


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
    parser.add_argument(
        "--with-site",
        action="store_true",
        help="end when standard input closes, as it does when the site that started this worker ends, however it ends",
    )
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    if asked.with_site:
        threading.Thread(target=end_with_site, args=(stop,), name="site-watch", daemon=True).start()
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


def end_with_site(stop: threading.Event, last_words_s: float = LAST_WORDS_S) -> None:
    """Set `stop` once standard input is closed: the site holds its other end, and a killed site lets go of it too.

    After last_words_s the process ends in any case: a database that does not answer must not keep a worker alive that
    nobody watches. Its jobs are processes of their own and lose nothing.
    """
    with suppress(OSError):
        while os.read(0, 1):
            pass
    stop.set()
    time.sleep(last_words_s)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
