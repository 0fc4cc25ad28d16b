"""What methods take on this machine that no earlier run tells: timed by a process of its own, one at a time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.worker_process import worker_environment
from core.settings import Settings
from training_jobs.processes import session_options
from training_jobs.spare import has_room
from training_jobs.timing import COMMAND

if TYPE_CHECKING:
    from core.experiments.costs import Cost

THE_MACHINE = "this machine"
"""Waited for where no method is: what all share."""
PACE_LASTS_S = 600
"""After which what all share is timed anew: the machine may have become busier or less so."""
LONGEST_S = 240
"""A process that takes longer is ended; what it has not timed by then stays unknown."""


class Timings:
    """Costs by backbone and method, for as long as this process lives. Any thread may ask."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = list(command)
        self._lock = threading.Lock()
        self._costs: dict[tuple[str, str], Cost | None] = {}
        self._machines: dict[str, dict[str, Any]] = {}
        self._timed_at: dict[tuple[str, str], float] = {}
        self._process: subprocess.Popen[str] | None = None

    def known(self, backbone: str, methods: Sequence[str]) -> dict[str, Cost]:
        """Costs of those that have been timed."""
        with self._lock:
            found = {method: self._costs.get((backbone, method)) for method in methods}
        return {method: cost for method, cost in found.items() if cost is not None}

    def machine(self, backbone: str) -> dict[str, Any]:
        """What cells share as far as it was measured, see `core.experiments.estimate.Machine`; empty before."""
        with self._lock:
            return dict(self._machines.get(backbone, {}))

    def time(self, settings: Settings, backbone: str, methods: Sequence[str], asked: Mapping[str, Any]) -> list[str]:
        """Have methods timed that were not, and what cells share on image sets that were not, or long ago.

        Gives the methods that are waited for, or THE_MACHINE. asked: see `training_jobs.timing`.

        While one process is at work, others wait for the next asking. None is begun where memory is short.
        """
        sets, now = {(backbone, name) for name in asked["spec"]["images"]}, time.monotonic()
        with self._lock:
            open_ = [method for method in methods if (backbone, method) not in self._costs]
            is_old = any(now - self._timed_at.get(each, -math.inf) > PACE_LASTS_S for each in sets)
            if (open_ or is_old) and self._process is None and has_room():
                self._timed_at |= dict.fromkeys(sets, now)
                self._begin(settings, backbone, open_, asked)
            return (open_ or [THE_MACHINE]) if self._process is not None else []

    def close(self) -> None:
        """End what is at work."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _begin(self, settings: Settings, backbone: str, methods: Sequence[str], asked: Mapping[str, Any]) -> None:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | worker_environment(settings),
            **session_options(),
        )
        self._process = process
        text = json.dumps({**asked, "methods": list(methods)}, default=list)
        threading.Thread(
            target=self._follow, args=(process, backbone, methods, text), name="timings", daemon=True
        ).start()

    def _follow(self, process: subprocess.Popen[str], backbone: str, methods: Sequence[str], text: str) -> None:
        from core.experiments.costs import Cost

        end = threading.Timer(LONGEST_S, process.kill)
        end.daemon = True
        end.start()
        given, told_in = process.stdin, process.stdout
        assert given is not None
        assert told_in is not None
        try:
            given.write(f"{text}\n")
            given.flush()
            for line in told_in:
                told = json.loads(line)
                if machine := told.get("machine"):
                    self._learn(backbone, machine)
                    continue
                method = told.pop("method")
                with self._lock:
                    self._costs[backbone, method] = Cost(**told, timed=True) if told else None
        except (OSError, ValueError):
            pass  # it ended early: what it did not say stays unknown
        finally:
            end.cancel()
            process.kill()
            process.wait()
            with self._lock:
                for method in methods:
                    self._costs.setdefault((backbone, method), None)
                self._process = None

    def _learn(self, backbone: str, told: Mapping[str, Any]) -> None:
        with self._lock:
            known = self._machines.get(backbone, {})
            by_set = {name: known.get(name, {}) | told[name] for name in ("picture_s", "search_s")}
            self._machines[backbone] = {**told, **by_set, "tower": tuple(told["tower"])}
