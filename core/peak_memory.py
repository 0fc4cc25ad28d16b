"""How much memory this process has taken at its highest."""

from __future__ import annotations

import sys
from types import ModuleType

import psutil

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows, which keeps the same figure elsewhere
    resource = None

MB = 1024 * 1024


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, in MB of 1024 * 1024 bytes."""
    if resource is None:
        return float(psutil.Process().memory_info().peak_wset) / MB
    # ru_maxrss counts KiB on Linux and bytes on macOS
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak / MB if sys.platform == "darwin" else peak / 1024
