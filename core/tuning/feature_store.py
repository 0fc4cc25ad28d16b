"""Features that were computed once, kept on disk under an address made of everything they depend on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.disk import disk_full, is_full
from core.errors import DatabaseAway

SQL_VARIABLES = 500
"""Keys asked for in one statement; SQLite allows more, this keeps statements short."""


@dataclass(frozen=True)
class Computed:
    """What was computed because it was not kept: seconds in all, and of how many views of pictures."""

    seconds: float = 0.0
    pictures: int = 0

    def __add__(self, other: Computed) -> Computed:
        return Computed(self.seconds + other.seconds, self.pictures + other.pictures)

    def __sub__(self, other: Computed) -> Computed:
        return Computed(self.seconds - other.seconds, self.pictures - other.pictures)

    def shared_by(self, number: int) -> Computed:
        """The share of each of so many."""
        return Computed(self.seconds / number, round(self.pictures / number))


class FeatureStore:
    """Vectors by address, shared by methods, seeds, shots, processes and users.

    Values are float32 vectors. `path` None keeps everything in memory, for tests and single runs without a home.
    Losing the file loses nothing but time. computed: what users of this object had to compute so far.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.computed = Computed()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _told():
            self._db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # a feature can be computed again, so the last writes may be lost in a power cut
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS features (address TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            )

    def get(self, addresses: Iterable[str]) -> dict[str, Tensor]:
        """The vectors that are there, by address."""
        wanted = list(addresses)
        found: dict[str, Tensor] = {}
        for start in range(0, len(wanted), SQL_VARIABLES):
            chunk = wanted[start : start + SQL_VARIABLES]
            marks = ",".join("?" * len(chunk))
            with _told():
                rows = self._db.execute(f"SELECT address, vector FROM features WHERE address IN ({marks})", chunk)
                found.update({address: torch.from_numpy(np.frombuffer(v, np.float32).copy()) for address, v in rows})
        return found

    def everything(self) -> dict[str, Tensor]:
        """All vectors by address, of a store that is small."""
        with _told():
            addresses = [address for (address,) in self._db.execute("SELECT address FROM features")]
        return self.get(addresses)

    def holds(self, addresses: Iterable[str]) -> set[str]:
        """Those of the addresses that are there."""
        wanted = list(addresses)
        found: set[str] = set()
        for start in range(0, len(wanted), SQL_VARIABLES):
            chunk = wanted[start : start + SQL_VARIABLES]
            marks = ",".join("?" * len(chunk))
            with _told():
                rows = self._db.execute(f"SELECT address FROM features WHERE address IN ({marks})", chunk)
                found.update(address for (address,) in rows)
        return found

    def put(self, vectors: Mapping[str, Tensor]) -> None:
        """Keep vectors; an address that exists already keeps its value."""
        rows = [(address, v.detach().float().cpu().numpy().tobytes()) for address, v in vectors.items()]
        with _told(), self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it already where the disk is full
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


@contextmanager
def _told() -> Iterator[None]:
    """Turns what SQLite says of a full disk, or of others that write for long, into what mends it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_full(error):
            raise disk_full("the disk with the feature cache") from error
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise DatabaseAway("The feature cache is free to be written", f"it said: {error}", "Try again.") from error
        raise


def address(*parts: object) -> str:
    """SHA-256 of everything a feature depends on."""
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).hexdigest()
