"""The training worker that `serve` keeps beside the site as a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from core.settings import Settings
from training_jobs.processes import session_options

log = logging.getLogger(__name__)
POLL_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
STOP_WAIT_S = 10.0
COMMAND = (sys.executable, "-m", "training_jobs", "--with-site")


class WorkerProcess:
    """Runs `python -m training_jobs` and starts it again, with growing pauses, should it end by itself.

    It lives in a session of its own, so that Ctrl-C reaches only the site. Its standard input is a pipe whose other end
    this process holds: should the site be killed, the pipe closes and the worker ends, so that no number of crashes
    leaves more than one. Jobs are processes of their own again and go on; the next worker finds them.
    """

    def __init__(self, settings: Settings, command: tuple[str, ...] = COMMAND) -> None:
        self._command, self._environment = command, os.environ | worker_environment(settings)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="worker-watch", daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._launch()
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end; kill it if it does not in time. Running jobs are not touched."""
        self._stopping.set()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._let_go()

    @property
    def pid(self) -> int | None:
        """Of the present worker process."""
        return self._process.pid if self._process else None

    def _launch(self) -> None:
        self._let_go()
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, **session_options()
        )

    def _let_go(self) -> None:
        """Close our end of the last worker's standard input."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _watch(self) -> None:
        pause_s, launched_at = POLL_S, time.monotonic()
        while not self._stopping.wait(POLL_S):
            if self._process is None or self._process.poll() is None:
                continue
            pause_s = POLL_S if time.monotonic() - launched_at > STEADY_S else min(2 * pause_s, LONGEST_PAUSE_S)
            log.error("the training worker ended with %s; starting it again in %.0f s", self._process.poll(), pause_s)
            if self._stopping.wait(pause_s):
                return
            self._launch()
            launched_at = time.monotonic()


def worker_environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment the worker reads them from."""
    values = {"home": settings.home.absolute(), "database_url": settings.database_url, "executor": settings.executor}
    return {f"PROMPTOSCOPE_{name.upper()}": str(value) for name, value in values.items() if value is not None}
