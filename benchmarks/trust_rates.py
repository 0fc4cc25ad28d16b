"""How often the trust test says that a map follows the model, where it should and where it must not.

    python -m benchmarks.trust_rates [--json] [--method linear_probe] [--images 80] [--models 20] [--seed 1]
        [--only planted] [--first-model 1] [--square 0.27] [--blur 0.15]

Planted: a model of drawn images whose class is a square of one colour at a random place, or none; a good map follows
(aim: at least 90 % of images). Counted are images with a square that the model answers rightly, and whose answer
changes when exactly the square is blurred away: where it does not, the model did not need the square,
and what it went by is not known. Shuffled: models trained on the same images with their training labels in random
order, one a seed, measured on true labels; whatever they do is chance, so no map should be called one that follows
(aim: at most 5 %). Beside the rate: how often p is small by itself, whatever the model is worth. Embedded backbone,
maps of the predicted class.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.planted import plant
from core import train
from core.explain import hiding
from core.explain.batch_images import BatchImage, ReadImage, images_of_part, read_image
from core.explain.classifier import pixels_of
from core.explain.hiding import covered
from core.explain.standing import standing
from core.explain.trust_rates import Rate, examine_images, rates
from core.images.decode import decode_image
from core.images.image_set import ImageSet
from core.tuning.classifier import Classifier

TRAINED = 20
"""Training images of a class."""
EXPLAINERS = ("relevance", "relevance:layers=last", "hires_cam", "attention", "grad_cam")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON objects")
    parser.add_argument("--method", default="linear_probe")
    parser.add_argument("--images", type=int, default=80, help="test images with a square")
    parser.add_argument("--models", type=int, default=20, help="models with shuffled labels")
    parser.add_argument("--first-model", type=int, default=1, help="seed of the first model with shuffled labels")
    parser.add_argument("--only", choices=("planted", "shuffled"), help="one of the two parts")
    parser.add_argument("--square", type=float, default=hiding.PART, help="side of hidden squares, of the picture's")
    parser.add_argument("--blur", type=float, default=hiding.BLUR, help="deviation of the blur, of the picture's side")
    parser.add_argument("--images-a-model", type=int, default=6, help="test images of a model with shuffled labels")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn images")
    parser.add_argument("--explainers", nargs="+", default=list(EXPLAINERS))
    asked = parser.parse_args()
    hiding.PART, hiding.BLUR = asked.square, asked.blur  # another hiding, to see what it does to the rates
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        plant(home / "planted", asked.seed, (TRAINED, -(-asked.images // 2)))
        parts = {"planted": planted, "shuffled": shuffled}
        for row in chain.from_iterable(part(home, asked) for name, part in parts.items() if asked.only in (None, name)):
            print(json.dumps(row) if asked.json else line(row), flush=True)


def planted(home: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rates of one model of planted squares."""
    images = ImageSet.read(home / "planted", "planted")
    model = train(images, asked.method, home=home, out=home / "planted-model").model
    shown = [image for image in images_of_part(images, "test") if image.mask is not None]
    needed = [pixels for pixels in (needs_square(model, image) for image in shown) if pixels is not None]
    found = rates(examine_images(model, needed, asked.explainers, no_step))
    yield from told("planted", [standing(model.card)], found, len(shown))


def needs_square(model: Classifier, image: BatchImage) -> Tensor | None:
    """Model input of an image whose right answer changes when its square is covered; None of any other."""
    read = read_image(model.backbone, image)
    assert isinstance(read, ReadImage), "drawn images can be read"
    assert read.seen is not None, "a square is in view"
    pixels = read.pixels[None]
    square = torch.from_numpy(read.seen.pixels > 0)[None, None]
    both = torch.cat([pixels, covered(pixels, square)])
    before, after = model.scores_from_pixels(both).argmax(dim=1).tolist()
    return pixels if model.classes[before] == image.class_name and after != before else None


def shuffled(home: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rates over models of shuffled training labels, taken together."""
    total = {name: Rate(name, 0, 0, 0, 0) for name in asked.explainers}
    worth = []
    for seed in range(asked.first_model, asked.first_model + asked.models):
        images = ImageSet.read(shuffle(home / "planted", home / f"shuffled-{seed}", seed), f"shuffled {seed}")
        model = train(images, asked.method, seed=seed, home=home, out=home / f"model-{seed}").model
        worth.append(standing(model.card))
        tested = inputs(model, images, asked.images_a_model)
        for rate in rates(examine_images(model, tested, asked.explainers, no_step)):
            total[rate.explainer] = total[rate.explainer].joined(rate)
        shutil.rmtree(home / f"shuffled-{seed}")
    if worth:
        yield from told("shuffled", worth, list(total.values()), asked.models * asked.images_a_model)


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


def told(kind: str, worth: Sequence[dict[str, Any]], found: Sequence[Rate], shown: int) -> Iterator[dict[str, Any]]:
    """One row an explainer."""
    values = [each["value"] for each in worth]
    beat = sum(bool(each["above_chance"]) for each in worth)
    for rate in found:
        head = {"models": kind, "n_models": len(worth), "beat_guessing": beat, "accuracy": float(np.mean(values))}
        yield head | {"images": shown} | rate.as_dict()


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    follows, small, worse = (
        f"{row[name]['share']:.2f} [{row[name]['low']:.2f}, {row[name]['high']:.2f}]"
        for name in ("follows", "small_p", "worse")
    )
    head = f"{row['models']:9} {row['n_models']:3} models, {row['beat_guessing']} beat guessing, {row['images']} images"
    return f"{head}  {row['explainer']:24} counted {row['n']:4}  follows {follows}  small p {small}  worse {worse}"


def no_step() -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
