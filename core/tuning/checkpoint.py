"""The state of an unfinished training on disk: written after each epoch, read to go on after a crash."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from core.disk import told_when_full
from core.tuning.contract import Method
from core.tuning.progress import Progress

FILE = "checkpoint.safetensors"
LONG_S, LEAST_APART = 0.2, 20
"""Writing that takes longer than this is done at most once in so many times as long."""
REPORTS_KEPT = 200
"""More epochs than pass between two writes of whoever listens, even for the fastest methods."""


class Checkpoint:
    """One file in a folder of its own. `purpose` names the training; a state of another one is never taken up."""

    def __init__(self, folder: Path, purpose: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._purpose = folder / FILE, purpose
        self._took_s, self._written_at = 0.0, 0.0

    def write(self, method: Method, optimizer: Optimizer, epoch: int, reports: Sequence[Progress] = ()) -> None:
        """Keep everything that the epochs after `epoch` depend on. Replaces the file in one move.

        reports: of the finished epochs. The last ones are kept, since whoever hears them may not have written them down
        before a crash. A large state, which takes long to write, is left out where the last one is young.
        """
        started = time.monotonic()
        if self._took_s > LONG_S and started - self._written_at < LEAST_APART * self._took_s:
            return
        tensors = {f"method.{k}": v for k, v in method.learned_state().items()}
        tensors |= {f"extra.{k}": v.detach().cpu().contiguous() for k, v in method.training_state().items()}
        numbers: dict[str, Any] = {}
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{key}"] = value.detach().cpu().contiguous()
                elif value is not None:
                    numbers[f"{index}.{key}"] = value
        metadata = {"purpose": self._purpose, "epoch": str(epoch), "optimizer": json.dumps(numbers)}
        metadata["reports"] = json.dumps([asdict(report) for report in reports[-REPORTS_KEPT:]])
        draft = self._path.with_suffix(f".{os.getpid()}.draft")
        try:
            with told_when_full():
                save_file({k: v.clone() for k, v in tensors.items()}, draft, metadata)
            os.replace(draft, self._path)
        finally:
            draft.unlink(missing_ok=True)
        self._written_at = time.monotonic()
        self._took_s = self._written_at - started

    def read(self, method: Method, optimizer: Optimizer) -> tuple[int, list[Progress]]:
        """Put the state back; gives the number of finished epochs and the last reports, (0, []) for a fresh start."""
        if not self._path.is_file():
            return 0, []
        with safe_open(self._path, framework="pt") as file:
            metadata = file.metadata()
            if metadata["purpose"] != self._purpose:
                return 0, []
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        method.load_learned_state(_under("method.", tensors))
        method.load_training_state(_under("extra.", tensors))
        _restore(optimizer, _under("optimizer.", tensors), json.loads(metadata["optimizer"]))
        return int(metadata["epoch"]) + 1, [Progress(**report) for report in json.loads(metadata["reports"])]


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _restore(optimizer: Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **numbers}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
