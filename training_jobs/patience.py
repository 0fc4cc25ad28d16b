"""What a process of ours does while its database is away, and what it says of an error that is nobody's input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from core.disk import disk_full, is_full
from core.errors import DatabaseAway, DiskFull, PromptoscopeError, Unavailable

TRIES = 6
LONGEST_PAUSE_S = 30.0
T = TypeVar("T")


def patiently(step: Callable[[], T], tries: int = TRIES) -> T:
    """What a step with the database gives; done again, with growing pauses, while the database is away or full."""
    for attempt in range(tries - 1):
        try:
            return step()
        except Unavailable as error:
            if not isinstance(error, DatabaseAway | DiskFull):
                raise
            time.sleep(min(2**attempt / 2, LONGEST_PAUSE_S))
    return step()


def error_dict(error: Exception, work: str = "training") -> dict[str, Any]:
    """The JSON of an error that ended a job. work: what it was at."""
    if isinstance(error, PromptoscopeError):
        return error.as_dict()
    return disk_full().as_dict() if is_full(error) else _unexpected(error, work)


def _unexpected(error: Exception, work: str) -> dict[str, Any]:
    """That of an error which is nobody's input, without its text: that may name files of images."""
    out_of_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    found = "the memory was not enough" if out_of_memory else f"it stopped with {type(error).__name__}"
    smaller = "a smaller batch or fewer views, then submit again" if work == "training" else "a smaller model"
    remedy = f"Choose {smaller}." if out_of_memory else "The job's log says where; report it, or retry the job."
    failure = PromptoscopeError(f"The {work} runs to its end", found, remedy)
    return failure.as_dict() | {"code": "out_of_memory" if out_of_memory else f"{work}_failed"}
