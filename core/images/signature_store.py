"""Signatures of images that were decoded once, kept on disk, so that no later process decodes them again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from core.images.decode import DECODING_RULES
from core.images.findings import Finding
from core.images.signature import Signature, keep_signatures
from core.images.windowing import Windowing

WRITTEN_AT_ONCE = 200


@contextmanager
def kept_signatures(path: Path) -> Iterator[None]:
    """Inside, signatures of all images that this process decodes are kept in a file and looked for there."""
    store = SignatureStore(path)
    before = keep_signatures(store)
    try:
        yield
    finally:
        keep_signatures(before)
        store.close()


class SignatureStore:
    """A file beside the other caches. Losing it, or failing to write it, loses nothing but time."""

    def __init__(self, path: Path) -> None:
        self._lock, self._waiting = threading.Lock(), dict[str, Signature]()
        self._db: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.execute("CREATE TABLE IF NOT EXISTS signatures (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID")

    def get(self, sha256: str) -> Signature | None:
        """What is known of a content; None also where the file cannot be read."""
        if self._db is None:
            return None
        with self._lock, suppress(sqlite3.Error, ValueError, TypeError, KeyError):
            if sha256 in self._waiting:
                return self._waiting[sha256]
            row = self._db.execute("SELECT facts FROM signatures WHERE key = ?", (_key(sha256),)).fetchone()
            return None if row is None else _from_json(row[0])
        return None

    def put(self, sha256: str, signature: Signature) -> None:
        """Keep a signature; written with others, or by `flush`."""
        with self._lock:
            self._waiting[sha256] = signature
            full = len(self._waiting) >= WRITTEN_AT_ONCE
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Another process that writes, or a full disk, is no reason to fail: it is forgotten."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            if self._db is None or not waiting:
                return
            rows = [(_key(sha256), json.dumps(_facts(found))) for sha256, found in waiting.items()]
            with suppress(sqlite3.Error):
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    self._db.executemany("INSERT OR IGNORE INTO signatures VALUES (?, ?)", rows)
                finally:
                    self._db.execute("COMMIT")

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.flush()
        if self._db is not None:
            self._db.close()


def _key(sha256: str) -> str:
    """Other rules of decoding give other signatures."""
    return f"{DECODING_RULES}|{sha256}"


def _facts(found: Signature) -> dict[str, object]:
    windowing = found.windowing.as_dict() if found.windowing else None
    facts = {"windowing": windowing, "findings": [each.as_dict() for each in found.findings]}
    return asdict(found) | facts | {"difference": str(found.difference)}


def _from_json(text: str) -> Signature:
    facts = json.loads(text)
    windowing = Windowing.from_dict(facts["windowing"]) if facts["windowing"] else None
    findings = tuple(Finding(**each) for each in facts["findings"])
    return Signature(**facts | {"windowing": windowing, "findings": findings, "difference": int(facts["difference"])})
