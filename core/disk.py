"""A full disk: how to know one by the errors of many libraries, and a reserve that makes deleting possible on it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import DiskFull

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Libraries that are not written in Python tell it in their own exceptions' text only.
SAID = ("No space left on device", "Disk quota exceeded", "not enough space on the disk", "database or disk is full")
CHUNK_BYTES = 1024**2


def is_full(error: BaseException) -> bool:
    """Whether an exception, or the one it came from, says that the disk or the quota is full."""
    seen: BaseException | None = error
    known: set[int] = set()
    # such chains may lead back to themselves
    while seen is not None and id(seen) not in known:
        known.add(id(seen))
        if isinstance(seen, DiskFull) or (isinstance(seen, OSError) and seen.errno in FULL):
            return True
        if any(text in str(seen) for text in SAID):
            return True
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return False


def disk_full(what: str = "the disk") -> DiskFull:
    """The error for it. what: who found no room, such as "the database"."""
    return DiskFull(
        "Room on the disk",
        f"{what} is full",
        "Delete image sets, models or runs that are no longer needed, or make room on the disk, then try again.",
    )


@contextmanager
def told_when_full() -> Iterator[None]:
    """Turns whatever says that the disk is full into DiskFull; everything else passes."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_full(error):
            raise disk_full() from error
        raise


class Reserve:
    """Room held back in a file, for the database to note down a deletion when nothing else is left.

    Deleting writes before it frees. The file is filled when there is plenty, given up when a deletion finds the disk
    full, and filled again later.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, home: Path) -> Reserve:
        """That of a home folder."""
        return cls(home / "reserve")

    @property
    def held_bytes(self) -> int:
        """How much is held back now."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0

    def fill(self, size_bytes: int) -> None:
        """Hold so much back, unless that is held already or the disk has less than four times as much."""
        if self.held_bytes >= size_bytes:
            return
        with suppress(OSError):
            if free_bytes(self._file.parent) >= 4 * size_bytes:
                self._write(size_bytes)

    def release(self) -> bool:
        """Give the room up; whether there was any."""
        held = self.held_bytes > 0
        self._file.unlink(missing_ok=True)
        return held

    def _write(self, size_bytes: int) -> None:
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                _occupy(file, size_bytes)
            os.replace(draft, self._file)
        finally:
            draft.unlink(missing_ok=True)


def _occupy(file: BinaryIO, size_bytes: int) -> None:
    """Take the room, not only the length: a file with a hole in it holds nothing back."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size_bytes)
        return
    for done in range(0, size_bytes, CHUNK_BYTES):
        file.write(bytes(min(CHUNK_BYTES, size_bytes - done)))


def free_bytes(folder: Path) -> int:
    """How much a person without privileges may still write there."""
    return shutil.disk_usage(folder).free
