"""How often the trust test says that a map follows the model, where it should and where it must not.

    python -m benchmarks.trust_rates [--json] [--method linear_probe] [--images 24] [--models 20]

Planted: a model of drawn images whose class is a square of one colour at a random place; hiding the square takes away
what decides, so a good map follows (aim: at least 90 % of images). Shuffled: models trained on the same images with
their training labels in random order, one a seed, measured on true labels; whatever they do is chance, so no map
should be called one that follows (aim: at most 5 %). A model whose card does not beat guessing cannot have a map that
follows, whatever the image: no passes are spent on it, and all its images count as not following. Beside the rate: how
often p is small by itself. Embedded backbone, maps of the predicted class.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.planted import plant
from core import train
from core.explain.classifier import pixels_of
from core.explain.standing import standing
from core.explain.trust_rates import Rate, examine_images, rates
from core.images.decode import decode_image
from core.images.image_set import ImageSet
from core.tuning.classifier import Classifier

EXPLAINERS = ("hires_cam", "attention", "relevance", "grad_cam")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON objects")
    parser.add_argument("--method", default="linear_probe")
    parser.add_argument("--images", type=int, default=24, help="test images of a model")
    parser.add_argument("--models", type=int, default=20, help="models with shuffled labels")
    parser.add_argument("--explainers", nargs="+", default=list(EXPLAINERS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for row in [*planted(home, asked), *shuffled(home, asked)]:
            print(json.dumps(row) if asked.json else line(row), flush=True)


def planted(home: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rates of one model of planted squares."""
    images = ImageSet.read(plant(home / "planted"), "planted")
    model = train(images, asked.method, home=home, out=home / "planted-model").model
    found = rates(examine_images(model, inputs(model, images, asked.images), asked.explainers, no_step))
    yield from told("planted", [standing(model.card)], found)


def shuffled(home: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rates over models of shuffled training labels, taken together."""
    total = {name: Rate(name, 0, 0, 0, 0) for name in asked.explainers}
    worth = []
    for seed in range(1, asked.models + 1):
        images = ImageSet.read(shuffle(home / "planted", home / f"shuffled-{seed}", seed), f"shuffled {seed}")
        model = train(images, asked.method, seed=seed, home=home, out=home / f"model-{seed}").model
        worth.append(standing(model.card))
        tested = inputs(model, images, asked.images)
        known = {rate.explainer: rate for rate in none_or_rates(model, tested, asked.explainers, worth[-1])}
        for name in asked.explainers:
            a, b = total[name], known[name]
            total[name] = Rate(name, a.n + b.n, a.follows + b.follows, a.small_p + b.small_p, a.worse + b.worse)
        shutil.rmtree(home / f"shuffled-{seed}")
    yield from told("shuffled", worth, list(total.values()))


def none_or_rates(
    model: Classifier, tested: Sequence[Tensor], explainers: Sequence[str], worth: dict[str, Any]
) -> list[Rate]:
    """Rates of one model; without a pass where its card rules out that any map follows."""
    if not worth["above_chance"]:
        return [Rate(name, len(tested), 0, 0, 0) for name in explainers]
    return rates(examine_images(model, tested, explainers, no_step))


def shuffle(source: Path, folder: Path, seed: int) -> Path:
    """The set with its training images spread at random over the class folders; the test part as it is."""
    shutil.copytree(source / "test", folder / "test")
    files = sorted((source / "train").glob("*/*.png"))
    labels = np.random.default_rng(seed).permutation([file.parent.name for file in files])
    for number, (file, label) in enumerate(zip(files, labels, strict=True)):
        (folder / "train" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "train" / label / f"image{number:03d}.png")
    return folder


def inputs(model: Classifier, images: ImageSet, n: int) -> list[Tensor]:
    """Up to n test images, evenly over the set, as model input."""
    test = images.part("test")
    return [pixels_of(model, decode_image(image.path)) for image in test[:: max(1, len(test) // n)][:n]]


def told(kind: str, worth: Sequence[dict[str, Any]], found: Sequence[Rate]) -> Iterator[dict[str, Any]]:
    """One row an explainer."""
    values = [each["value"] for each in worth]
    beat = sum(bool(each["above_chance"]) for each in worth)
    for rate in found:
        yield {"models": kind, "n_models": len(worth), "beat_guessing": beat, "accuracy": float(np.mean(values))} | (
            rate.as_dict()
        )


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    follows, small, worse = (
        f"{row[name]['share']:.2f} [{row[name]['low']:.2f}, {row[name]['high']:.2f}]"
        for name in ("follows", "small_p", "worse")
    )
    head = f"{row['models']:9} {row['n_models']:3} models, {row['beat_guessing']} beat guessing"
    return f"{head}  {row['explainer']:24} n {row['n']:4}  follows {follows}  small p {small}  worse {worse}"


def no_step() -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
