"""A job's process with a training that takes as long as its options say, and keeps its place like the real one.

Options: epochs, epoch_s (seconds each), hold_at (an epoch after which it waits for the file `go` in its checkpoint
folder), fail ("known" or "unknown"), child (start one), ignore_term.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.errors import TooFewImages
from tests.core.records.samples import record
from training_jobs.run_job import main


def train(image_set: Any, method: str, *, options: dict[str, Any], out: Path, progress: Any, **rest: Any) -> Any:
    """Count epochs, each marked in the checkpoint folder, and leave a model folder."""
    if options.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.get("child"):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    folder: Path = rest["checkpoint_dir"]
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "epoch"
    first = int(place.read_text()) if place.exists() else 0
    epochs = int(options.get("epochs", 3))
    progress(_progress("features", 1, 1))
    for epoch in range(first + 1, epochs + 1):
        time.sleep(float(options.get("epoch_s", 0)))
        _fail(options)
        # in one move: a kill between opening and writing would leave an empty file
        place.with_suffix(".new").write_text(str(epoch))
        place.with_suffix(".new").replace(place)
        report = _progress("training", epoch, epochs, epoch=epoch, epochs=epochs, loss=1 / epoch)
        progress(report)
        while epoch == options.get("hold_at") and not (folder / "go").exists():
            time.sleep(0.02)
            progress(report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "adapter_config.json").write_text(json.dumps({"method": method, "calibrated": True}))
    (out / "adapter_model.safetensors").write_bytes(b"weights")
    predictions = [
        {
            "file": image.name,
            "label": image_set.classes[image.label],
            "predicted": image_set.classes[0],
            "probabilities": {"lesion": 0.75, "calm": 0.25},
        }
        for image in image_set.part("test")
    ]
    made = record(model=str(out), notes=[f"from epoch {first + 1}"])
    return SimpleNamespace(record=made, predictions=predictions, drawn={})


def _fail(options: dict[str, Any]) -> None:
    if options.get("fail") == "known":
        raise TooFewImages("16 shots need 16 images", "'calm' has 9", "Choose 8 shots.")
    if options.get("fail") == "unknown":
        raise RuntimeError("/patients/jane-doe.png broke")


def _progress(stage: str, done: int, total: int, **values: Any) -> Any:
    from core.tuning.progress import Progress

    return Progress(stage, done=done, total=total, **values)


if __name__ == "__main__":
    sys.exit(main(train=train))
