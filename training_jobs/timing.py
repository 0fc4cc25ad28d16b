"""`python -m training_jobs.timing`: what methods take here, by a few steps of each, before an experiment is recorded.

Reads one line of JSON, {spec, sources, texts, methods, folders}. Writes one of what all share, {machine: {start_s,
picture_s, search_s, tower}}, and one for each method as soon as it is known: {method, ...} with TOLD, or {method} alone
where it cannot be timed. It ends with whoever asked, when its standard input closes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import psutil

from core.errors import PromptoscopeError
from core.records.session import Database
from core.settings import Settings
from core.tuning.method_cards import baseline_method
from training_jobs.processes import give_way

TOLD = ("fixed_s", "per_step_s", "peak_mb", "more_in_step", "classes", "images")
"""Of `core.experiments.costs.Cost`."""
COMMAND = (sys.executable, "-m", "training_jobs.timing")


def main() -> int:
    """Time the methods that standard input names."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_asker, name="asker-watch", daemon=True).start()
    give_way()
    settings = Settings()
    database = Database(settings.database)
    try:
        _time(database, settings, asked)
    except PromptoscopeError:
        return 1  # what is wrong is said where the experiment is planned
    finally:
        database.close()
    return 0


def _time(database: Database, settings: Settings, asked: dict[str, Any]) -> None:
    from core.experiments.cells import plan_cells
    from core.experiments.spec import spec_from_record
    from core.experiments.timing import time_machine, time_method
    from training_jobs.opened import grid_of

    spec = spec_from_record(asked["spec"])
    cells = plan_cells(spec, baseline_method())
    with grid_of(database, settings, spec, asked["sources"], asked["texts"], folders=asked["folders"]) as grid:
        # a job starts a process and loads the same
        start_s = time.time() - psutil.Process().create_time()
        machine = time_machine(grid)
        shared = {"start_s": start_s, "picture_s": machine.picture_s, "search_s": machine.search_s}
        print(json.dumps({"machine": shared | {"tower": machine.tower}}), flush=True)
        for method in asked["methods"]:
            found = time_method(grid, [cell for cell in cells if cell.candidate.method == method])
            facts = {} if found is None else {name: getattr(found, name) for name in TOLD}
            print(json.dumps({"method": method, **facts}), flush=True)


def _end_with_asker() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
