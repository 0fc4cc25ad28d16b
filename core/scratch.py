"""Temporary folders whose owner holds a lock, so that whoever comes later knows the dead from the living.

The lock is the operating system's, on a file beside the folder; it ends with its process however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock"
# Whoever sweeps holds a new lock for a moment at most.
OWN_LOCK_WAIT_S = 30


@contextmanager
def scratch_folder(parent: Path, prefix: str = "", *, keep_on_error: bool = False) -> Iterator[Path]:
    """A private new folder below `parent`, removed at the end of the block.

    keep_on_error: leave it after an exception; it then counts as abandoned, as after a crash.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{prefix}{secrets.token_hex(8)}"
    # The lock comes first and goes last: a folder without one is nobody's.
    with _held(folder, OWN_LOCK_WAIT_S):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        except BaseException:
            if not keep_on_error:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def abandoned(parent: Path, prefix: str = "") -> Iterator[Path]:
    """Folders below `parent` whose owner is gone, each held while it is looked at. Nothing is removed.

    prefix: what their names begin with, where `parent` holds folders of other kinds as well.
    """
    for folder in _folders(parent, prefix):
        try:
            with _held(folder):
                if folder.is_dir():
                    yield folder
        except Timeout:
            continue  # somebody works in it


def sweep(parent: Path, prefix: str = "") -> int:
    """Remove the folders below `parent` whose owner is gone; how many there were. prefix: as in `abandoned`."""
    count = 0
    for folder in abandoned(parent, prefix):
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count


def is_held(folder: Path) -> bool:
    """Whether the owner of a scratch folder lives."""
    if not _lock_file(folder).exists():
        return False
    try:
        with _held(folder):
            return False
    except Timeout:
        return True


def process_folder(parent: Path) -> Path:
    """A scratch folder below `parent` that lives as long as this process, the same for all its threads."""
    with _one_at_a_time:
        return _process_folder(parent)


_one_at_a_time = threading.Lock()


@functools.cache
def _process_folder(parent: Path) -> Path:
    holding = contextlib.ExitStack()
    atexit.register(holding.close)
    return holding.enter_context(scratch_folder(parent))


def _folders(parent: Path, prefix: str) -> list[Path]:
    """Every folder below `parent` of such a name, and every one whose lock alone is left."""
    if not parent.is_dir():
        return []
    entries = [entry for entry in parent.iterdir() if entry.name.startswith(prefix)]
    locks = {entry.with_name(entry.name.removesuffix(LOCK)) for entry in entries if entry.name.endswith(LOCK)}
    return sorted(locks | {entry for entry in entries if entry.is_dir()})


def _lock_file(folder: Path) -> Path:
    return folder.with_name(folder.name + LOCK)


@contextmanager
def _held(folder: Path, wait_s: float = 0) -> Iterator[None]:
    """Hold a folder's lock. Raises Timeout if somebody else does for so long."""
    file = _lock_file(folder)
    lock = FileLock(file, timeout=wait_s, poll_interval=0.01, thread_local=False)
    lock.acquire()
    try:
        yield
    finally:
        if os.name == "nt":
            lock.release()  # an open file has no other end there
        if not folder.exists():
            # Unlinked while held, so that nobody can take a lock on a file that is about to go.
            _unlink(file)
        lock.release()


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        return  # somebody looks at it just now; whoever sweeps next removes it
