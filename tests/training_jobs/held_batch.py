"""A batch's process that takes few images at once and waits after each record, so that it can be killed in between."""

from __future__ import annotations

import sys
import time
from typing import Any

from core.explain import batch as engine
from core.records import explanation_batches as batches
from training_jobs.run_job import main

PAUSE_S = 0.5
keep = batches.keep_measures


def keep_slowly(*given: Any) -> None:
    """Record, after a moment."""
    time.sleep(PAUSE_S)
    keep(*given)


if __name__ == "__main__":
    engine.IMAGES_AT_ONCE = 3
    batches.keep_measures = keep_slowly
    sys.exit(main())
