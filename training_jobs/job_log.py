"""The log of a job: one text file, with times, stages and numbers, never file names or contents of images."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from core.records.types import now
from core.settings import Settings

LOG = "log.txt"
CHECKPOINT = "checkpoint"
READ_BYTES = 200_000


def job_folder(settings: Settings, job_id: str) -> Path:
    """Where a job's log and checkpoint lie."""
    return settings.jobs_dir / job_id


def log_path(settings: Settings, job_id: str) -> Path:
    """The job's log file, whether it exists yet or not."""
    return job_folder(settings, job_id) / LOG


def read_log(settings: Settings, job_id: str, max_bytes: int = READ_BYTES) -> str:
    """The end of a job's log; empty before its first attempt."""
    path = log_path(settings, job_id)
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - max_bytes))
        return file.read().decode(errors="replace")


class JobLog:
    """Appends lines, each with its time in UTC."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(self, line: str) -> None:
        """Append a line. A log that cannot be written is no reason to lose a training."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{now():%Y-%m-%d %H:%M:%S} {line}\n")
        except OSError:
            return

    def write_failure(self, error: BaseException) -> None:
        """Append where an error came from: its kind and the places in the code, not its text, which may name files."""
        places = traceback.extract_tb(error.__traceback__)
        self.write(f"stopped by {type(error).__name__}")
        for place in places:
            self.write(f"  in {place.name}, {Path(place.filename).name}:{place.lineno}")
