"""A calibration as a file, so that work that was interrupted goes on with the same one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch

from core.explain.calibration import Calibration, PatchNorms
from core.explain.changed_pass import RegisterShift


def keep_calibration(found: Calibration, path: Path) -> None:
    """Write it in one move: what is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    units = None if found.shift is None else {str(block): list(own) for block, own in found.shift.units.items()}
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        np.savez(
            file,
            lengths=np.asarray(found.lengths, dtype=np.float64),
            means=found.means.numpy(),
            norms=found.norms.norms,
            words=np.frombuffer(json.dumps({"n": found.n, "why": found.why, "units": units}).encode(), dtype=np.uint8),
        )
    os.replace(draft, path)


def kept_calibration(path: Path) -> Calibration | None:
    """The one that was written there; None where there is none or the file was damaged."""
    try:
        with np.load(path) as arrays:
            words = json.loads(arrays["words"].tobytes())
            units = words["units"]
            shift = None if units is None else RegisterShift({int(block): tuple(own) for block, own in units.items()})
            lengths, means = tuple(arrays["lengths"].tolist()), torch.from_numpy(arrays["means"])
            return Calibration(lengths, means, PatchNorms(arrays["norms"]), words["n"], shift, words["why"])
    except (OSError, ValueError, KeyError, EOFError):
        return None
