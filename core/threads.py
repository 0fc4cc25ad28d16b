"""How threads of matrix products wait for each other."""

from __future__ import annotations

from collections.abc import MutableMapping

SPINS = 3000
"""Turns, some tens of microseconds, that a waiting thread spins before it sleeps."""


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """Let threads spin shortly and then sleep; to be set before PyTorch is loaded.

    Small products follow each other faster than a sleeping thread wakes up, but threads that spin for long, as is the
    default, slow everything else on a small machine down, and themselves most. A policy that is already set stays.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", str(SPINS))
