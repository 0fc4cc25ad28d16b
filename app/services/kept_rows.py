"""Rows of an experiment on disk, so that a restart of the site does not read a million answers again.

The file lies in the experiment's own folder and goes with it. It holds for exactly the runs it was made of.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.images.labelled_image import digest

FILE = "rows.json"
FORMAT = 3
"""Raised whenever rows are put together in another way."""


def rows_key(spec_hash: str, runs: Sequence[tuple[int, str]]) -> str:
    """SHA-256 over all that rows follow from. runs: (position of the cell, id of its run)."""
    return digest([str(FORMAT), version("promptoscope"), spec_hash, *(f"{at} {run}" for at, run in runs)])


def read_rows(folder: Path, key: str) -> list[dict[str, Any]] | None:
    """The rows that were kept under this key; None where there are others, none, or a damaged file."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads((folder / FILE).read_text("utf-8"))
        if kept["key"] == key and isinstance(kept["rows"], list):
            return kept["rows"]
    return None


def keep_rows(folder: Path, key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Keep rows in place of earlier ones. A disk that takes nothing costs time only."""
    draft = folder / f".{FILE}.{secrets.token_hex(4)}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(json.dumps({"key": key, "rows": list(rows)}, ensure_ascii=False), "utf-8")
            os.replace(draft, folder / FILE)
        finally:
            draft.unlink(missing_ok=True)
