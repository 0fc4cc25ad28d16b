"""Accuracy of methods by number of shots, on test images; or, to choose settings, on parts of the training images.

    python -m benchmarks.few_shot --images DIR [DIR ...] [--methods coop,vpt] [--shots 1,4,16] [--seeds 3] [--json]
    python -m benchmarks.few_shot --images DIR [DIR ...] --methods vpt --shots 4 --search learning_rate=0.01,0.1

One line a method, image set and number of shots: the mean over seeds of accuracy and seconds; then one line a method:
the mean over the image sets. With --search every combination of the given option values is tried by cross-validation:
for each seed some images of each class are set apart from the training part, which alone is used, and classes get names
that no text side has learned, so that neither test images nor learned names have a part in the choice; --own-names
leaves them their names. The presets of `core/tuning/presets` are found this way.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.tuning.registry import method_names
from core.tuning.train import train

HELD_OUT = 20
"""Images of each class that are set apart in a search."""
NEUTRAL = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "sigma")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders with train/ and test/")
    parser.add_argument("--methods", default=",".join(method_names()), help="names, separated by commas")
    parser.add_argument("--shots", default="1,4,16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--search", nargs="+", default=[], metavar="OPTION=VALUES", help="values separated by commas")
    parser.add_argument("--own-names", action="store_true", help="in a search, keep the classes' names")
    parser.add_argument("--home", type=Path, help="where features are kept between calls")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.home or Path(folder)
        tower = load_backbone(arguments.backbone, home=home)
        sets = [ImageSet.read(path, path.name) for path in arguments.images]
        for line in lines(arguments, sets, tower, home):
            print(json.dumps(line) if arguments.json else _sentence(line), flush=True)


def lines(arguments: argparse.Namespace, sets: list[ImageSet], tower: Backbone, home: Path) -> Iterator[dict[str, Any]]:
    """Cells, then a mean over the image sets for each method, options and number of shots."""
    means: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    shots = [int(part) for part in arguments.shots.split(",")]
    combinations = list(_combinations(arguments.search))
    for method, options, images, count in itertools.product(arguments.methods.split(","), combinations, sets, shots):
        seeds = range(1, arguments.seeds + 1)
        parts = [fold(images, seed, arguments.own_names) if arguments.search else images for seed in seeds]
        runs = [_run(part, method, options, count, seed, tower, home) for part, seed in zip(parts, seeds, strict=True)]
        accuracies = [run["metrics"]["accuracy"] for run in runs]
        means[method, json.dumps(options), count].append(statistics.fmean(accuracies))
        yield _line(method, options, images.name, count, accuracies, [run["seconds"] for run in runs])
    for (method, chosen, count), values in means.items():
        yield _line(method, json.loads(chosen), f"{len(values)} sets", count, values, [])


def _run(
    images: ImageSet,
    method: str,
    options: dict[str, str],
    shots: int,
    seed: int,
    tower: Backbone,
    home: Path,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        return train(
            images,
            method,
            backbone=tower,
            shots=shots,
            seed=seed,
            options=options,
            home=home,
            out=Path(out) / "model",
            allow_leakage=True,
        ).record


def fold(images: ImageSet, seed: int, own_names: bool) -> ImageSet:
    """The training part alone, some images of each class set apart as test part.

    own_names: classes keep their names; otherwise they get names without a meaning.
    """
    chooser = random.Random(seed)
    kept: list[LabelledImage] = []
    for label in range(len(images.classes)):
        group = [image for image in images.part("train") if image.label == label]
        chooser.shuffle(group)
        kept += [replace(image, part="test") for image in group[:HELD_OUT]] + group[HELD_OUT:]
    neutral = tuple(f"finding {NEUTRAL[i]}" for i in range(len(images.classes)))
    return replace(images, images=tuple(kept), classes=images.classes if own_names else neutral)


def _combinations(search: list[str]) -> Iterator[dict[str, str]]:
    names = [part.split("=", 1)[0] for part in search]
    values = [part.split("=", 1)[1].split(",") for part in search]
    for chosen in itertools.product(*values):
        yield dict(zip(names, chosen, strict=True))


def _line(
    method: str, options: dict[str, str], images: str, shots: int, accuracies: list[float], seconds: list[float]
) -> dict[str, Any]:
    return {
        "method": method,
        "options": options,
        "images": images,
        "shots": shots,
        "n": len(accuracies),
        "accuracy": round(statistics.fmean(accuracies), 4),
        "low": round(min(accuracies), 4),
        "high": round(max(accuracies), 4),
        "seconds": round(statistics.fmean(seconds), 1) if seconds else None,
    }


def _sentence(line: dict[str, Any]) -> str:
    options = " ".join(f"{name}={value}" for name, value in line["options"].items())
    seconds = f", {line['seconds']} s" if line["seconds"] is not None else ""
    return (
        f"{line['method']:14} {line['images']:12} {line['shots']:2} shots {options}: accuracy {line['accuracy']:.3f} "
        f"({line['low']:.3f} to {line['high']:.3f}, n = {line['n']}){seconds}"
    )


if __name__ == "__main__":
    main()
