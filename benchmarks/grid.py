"""How much cheaper a grid is than its cells: `python -m benchmarks.grid`, or with `--images FOLDER --json`.

Five methods, five numbers of shots and three seeds on the embedded backbone: once as `promptoscope experiment run`, and
against it the same cells as `promptoscope train` commands, of which `--sample` are timed and the rest taken to be like
them. Both start in an empty home, and each command pays for its own start, as it does for whoever types it. Prints
seconds and their ratio; take it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

METHODS = ("zero_shot", "coop", "clip_adapter", "tip_adapter", "linear_probe")
SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
SAMPLE = 15
COMMAND = (sys.executable, "-m", "app.cli")
ROOT = Path(__file__).resolve().parents[1]


def run(home: Path, *arguments: str) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of one command and the objects it printed. Raises RuntimeError where it fails."""
    started = time.monotonic()
    environment = os.environ | {"PROMPTOSCOPE_HOME": str(home)}
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"
        )
    return time.monotonic() - started, [json.loads(line) for line in done.stdout.splitlines()]


def grid_seconds(home: Path, images: Path) -> tuple[float, dict[tuple[str, int, int], float]]:
    """Seconds of the experiment, and the balanced accuracy of each of its cells."""
    values = {"name": "grid", "images": [str(images)], "methods": METHODS, "shots": SHOTS, "seeds": SEEDS}
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    file = home / "grid.toml"
    file.write_text("\n".join(lines) + "\n")
    seconds, rows = run(home, "experiment", "run", str(file), "--json")
    cells = [row for row in rows if "seed" in row and "metrics" in row]
    return seconds, {(c["method"], c["shots"], c["seed"]): c["metrics"]["balanced_accuracy"] for c in cells}


def single_seconds(home: Path, images: Path, sample: int) -> dict[tuple[str, int, int], tuple[float, float]]:
    """Seconds and balanced accuracy of some of the cells as commands of their own, spread over methods and shots.

    One untimed command comes first, so that none of the timed ones pays for the features of the test part.
    """
    cells = [(method, shots, seed) for seed in SEEDS for method in METHODS for shots in SHOTS]
    random.Random(0).shuffle(cells)
    by_method = {method: [cell for cell in cells if cell[0] == method] for method in METHODS}
    chosen = [by_method[method][turn] for turn in range(len(SHOTS) * len(SEEDS)) for method in METHODS][:sample]
    run(home, *_train(images, ("zero_shot", 16, 1)))
    found = {}
    for cell in chosen:
        seconds, rows = run(home, *_train(images, cell))
        found[cell] = seconds, rows[0]["metrics"]["balanced_accuracy"]
    return found


def _train(images: Path, cell: tuple[str, int, int]) -> list[str]:
    method, shots, seed = cell
    return ["train", "--method", method, "--images", str(images), "--shots", str(shots), "--seed", str(seed), "--json"]


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="an image set with 16 images a class; drawn phantoms without it")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many cells are timed as single commands")
    parser.add_argument("--json", action="store_true", help="print one object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / name for name in ("grid", "single")]
        for home in homes:
            home.mkdir()
        images = asked.images or _phantoms(Path(folder) / "phantoms")
        grid, answers = grid_seconds(homes[0], images.resolve())
        single = single_seconds(homes[1], images.resolve(), asked.sample)
    n_cells = len(METHODS) * len(SHOTS) * len(SEEDS)
    by_method = {m: [s for (method, _, _), (s, _) in single.items() if method == m] for m in METHODS}
    mean = sum(sum(times) / len(times) for times in by_method.values()) / len(METHODS)
    apart = max(abs(answers[cell] - accuracy) for cell, (_, accuracy) in single.items())
    found = {
        "cells": n_cells,
        "grid_seconds": round(grid, 1),
        "single_seconds": round(mean * n_cells, 1),
        "single_commands_timed": len(single),
        "ratio": round(mean * n_cells / grid, 1),
        "largest_difference": apart,
    }
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{n_cells} cells as one experiment: {grid:.0f} s")
    print(f"the same as commands of their own: {mean * n_cells:.0f} s ({len(single)} timed, {mean:.1f} s each)")
    print(f"ratio {found['ratio']}; balanced accuracy of equal cells differs by {apart:.2g} at most")


def _phantoms(folder: Path) -> Path:
    from core.images.phantoms import make_phantoms

    make_phantoms(folder, seed=1, per_class=(24, 40))
    return folder


if __name__ == "__main__":
    main()
