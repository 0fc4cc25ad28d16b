"""`python -m training_jobs.timing`: what methods take here, by a few steps of each, before an experiment is recorded.

Reads one line of JSON, {spec, sources, texts, methods, folders}, and writes one for each method as soon as it is known:
{method, fixed_s, per_step_s, peak_mb}, or {method} alone where it cannot be timed. It ends with whoever asked, when its
standard input closes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from core.errors import PromptoscopeError
from core.records.session import Database
from core.settings import Settings
from core.tuning.method_cards import baseline_method
from training_jobs.processes import give_way

TOLD = ("fixed_s", "per_step_s", "peak_mb")
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
    from core.experiments.estimate import time_method
    from core.experiments.spec import spec_from_record
    from training_jobs.opened import grid_of

    spec = spec_from_record(asked["spec"])
    cells = plan_cells(spec, baseline_method())
    with grid_of(database, settings, spec, asked["sources"], asked["texts"], folders=asked["folders"]) as grid:
        for method in asked["methods"]:
            cell = next(cell for cell in cells if cell.candidate.method == method)
            found = time_method(grid, cell)
            facts = (
                {} if found is None else {name: getattr(found, name) for name in ("fixed_s", "per_step_s", "peak_mb")}
            )
            print(json.dumps({"method": method, **facts}), flush=True)


def _end_with_asker() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
