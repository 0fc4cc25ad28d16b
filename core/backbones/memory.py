"""Small facts about this machine that are costly to find out, kept in JSON files under the home folder."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def recall(file: Path, key: str) -> Any:
    """What was remembered under the key, or None. An unreadable file counts as empty: it can all be found again."""
    return _read(file).get(key)


def remember(file: Path, key: str, value: Any) -> None:
    """Keep a value beside those already there; where the folder cannot be written, it is found again next time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump({**_read(file), key: value}, out, indent=1, sort_keys=True)
            # Windows refuses this while another process reads the file
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
