"""What the device's fast precision changes in results: the same trainings in float32 and in it.

    python -m benchmarks.precision [--images PATH] [--methods coop,biomed_dpt] [--shots 4] [--seeds 3] [--json]

Trains on the embedded backbone, by default with drawn phantoms. One line a method: mean accuracy in both precisions,
the share of test images that get another class, and the mean absolute difference of probabilities. Where the device's
default is float32, there is nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from core.backbones.device import choose_device, choose_precision
from core.backbones.loading import load_backbone
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms
from core.tuning.train import TrainedRun, train

METHODS = "coop,cocoop,biomedcoop,biomed_dpt,tip_adapter_f"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder with train/<class>/ and test/<class>/; else phantoms")
    parser.add_argument("--methods", default=METHODS, help="names, separated by commas")
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        default = choose_precision("auto", choose_device())
        if default == "fp32":
            print("The default precision of this device is fp32: nothing to compare.")
            return
        images = ImageSet.read(arguments.images or make_phantoms(home / "phantoms"), "precision")
        towers = [load_backbone("embedded", precision=each, home=home) for each in ("fp32", default)]
        for method in arguments.methods.split(","):
            line = compare(images, method, towers, arguments.shots, range(1, arguments.seeds + 1), home)
            print(json.dumps(line) if arguments.json else _sentence(line), flush=True)


def compare(
    images: ImageSet, method: str, towers: list[OpenClipBackbone], shots: int, seeds: range, home: Path
) -> dict[str, Any]:
    """One method's figures over the seeds; fractions between 0 and 1."""
    pairs = [
        [train(images, method, backbone=tower, shots=shots, seed=seed, home=home) for tower in towers] for seed in seeds
    ]
    tables = [[_probabilities(run) for run in pair] for pair in pairs]
    return {
        "method": method,
        "precision": towers[1].precision,
        "shots": shots,
        "seeds": len(pairs),
        "accuracy_fp32": _mean(pair[0].record["metrics"]["accuracy"] for pair in pairs),
        "accuracy": _mean(pair[1].record["metrics"]["accuracy"] for pair in pairs),
        "other_class": _mean(float((a.argmax(1) != b.argmax(1)).mean()) for a, b in tables),
        "probability_difference": _mean(float(np.abs(a - b).mean()) for a, b in tables),
    }


def _probabilities(run: TrainedRun) -> np.ndarray:
    return np.array([list(row["probabilities"].values()) for row in run.predictions])


def _mean(values: Any) -> float:
    return round(statistics.fmean(values), 4)


def _sentence(line: dict[str, Any]) -> str:
    return (
        f"{line['method']:14} accuracy {line['accuracy_fp32']:.3f} in fp32, {line['accuracy']:.3f} in "
        f"{line['precision']}; another class for {line['other_class']:.1%}; probabilities differ by "
        f"{line['probability_difference']:.4f} on average ({line['shots']} shots, {line['seeds']} seeds)"
    )


if __name__ == "__main__":
    main()
