"""Every method once, the way a user trains it: `python -m benchmarks.every_method --images FOLDER [FOLDER ...]`.

One line a method, image set and number of shots: seconds of the whole training (features that are not known yet
included), accuracy on the test part and learned numbers, or the words of a refusal.
Then one line for methods that learn from kept features alone: the seconds of all of them together, each at its own
length and with the most shots, once the features are there: a training before it is not counted. Methods that read an
image encoder get `--encoder`. `--epochs` shortens methods that are trained by steps; without it they take their own
number. `--part 1/2` takes every second method, so that two processes can share the work.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.errors import PromptoscopeError
from core.images.image_set import ImageSet
from core.tuning.method_cards import method_card, method_options
from core.tuning.registry import get_method, method_names
from core.tuning.train import train


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders with train/ and test/")
    parser.add_argument("--methods", default=",".join(method_names()), help="names, separated by commas")
    parser.add_argument("--part", default="1/1", help="which part of the methods, of how many")
    parser.add_argument("--shots", default="1,4,16")
    parser.add_argument("--epochs", type=int, help="of methods that are trained by steps")
    parser.add_argument("--encoder", default="", help="folder of an image encoder")
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--home", type=Path, help="where features are kept between calls")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.home or Path(folder)
        tower = load_backbone(arguments.backbone, home=home)
        sets = [ImageSet.read(path, path.name) for path in arguments.images]
        for line in lines(arguments, sets, tower, home):
            print(json.dumps(line) if arguments.json else sentence(line), flush=True)


def lines(arguments: argparse.Namespace, sets: list[ImageSet], tower: Backbone, home: Path) -> Iterator[dict[str, Any]]:
    """One object a cell, then one an image set: of the methods that learn from features, all together."""
    place, parts = map(int, arguments.part.split("/"))
    methods = arguments.methods.split(",")[place - 1 :: parts]
    shots = [int(part) for part in arguments.shots.split(",")]
    for images in sets:
        for method in methods:
            options = options_of(method, arguments.epochs, arguments.encoder)
            for count in shots:
                yield cell(images, method, count, options, tower, home)
        if heads := [name for name in methods if reads_features(name)]:
            yield together(images, heads, max(shots), arguments.encoder, tower, home)


def reads_features(method: str) -> bool:
    """Whether a method learns from kept image features alone: no words, no text of an image's own, no tower."""
    card = method_card(method)
    return card["image_path"] == "frozen" and not card["learns_words"] and not card["per_image_text"]


def options_of(method: str, epochs: int | None, encoder: str) -> dict[str, Any]:
    """What a method is given beside its defaults, as far as it has such options."""
    known = {row["name"] for row in method_options(method)}
    # an encoder that is but a start has to be of one architecture
    given = {"epochs": epochs, "encoder": "" if get_method(method).starts_from else encoder}
    return {name: value for name, value in given.items() if value and name in known}


def cell(
    images: ImageSet, method: str, shots: int, options: Mapping[str, Any], tower: Backbone, home: Path
) -> dict[str, Any]:
    """{method, images, shots, seconds, accuracy, trainable_parameters, refused}; what is unknown is None.

    refused: the words of a refusal. Anything else that goes wrong is no refusal, and ends the command.
    """
    line = {"method": method, "images": images.name, "shots": shots, "options": dict(options)}
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as out:
            record = train(
                images,
                method,
                backbone=tower,
                shots=shots,
                options=options,
                home=home,
                out=Path(out) / "model",
                allow_leakage=True,
            ).record
    except PromptoscopeError as error:
        unknown = dict.fromkeys(("accuracy", "trainable_parameters", "n_val"))
        return line | {"seconds": round(time.perf_counter() - started, 2)} | unknown | {"refused": str(error)}
    return line | {
        "seconds": round(time.perf_counter() - started, 2),
        "accuracy": round(record["metrics"]["accuracy"], 4),
        "trainable_parameters": record["trainable_parameters"],
        "n_val": record["n_val"],
        "refused": None,
    }


def together(
    images: ImageSet, methods: list[str], shots: int, encoder: str, tower: Backbone, home: Path
) -> dict[str, Any]:
    """{images, shots, together, seconds}: of methods whose features were computed before, trained once more."""
    for _ in ("features", "timed"):
        cells = [cell(images, name, shots, options_of(name, None, encoder), tower, home) for name in methods]
    trained = [found for found in cells if found["refused"] is None]
    return {
        "images": images.name,
        "shots": shots,
        "together": [found["method"] for found in trained],
        "seconds": round(sum(found["seconds"] for found in trained), 2),
    }


def sentence(line: Mapping[str, Any]) -> str:
    """A line for people."""
    if "together" in line:
        names = ", ".join(line["together"])
        return (
            f"{len(line['together'])} methods that learn from features alone, {line['images']}, {line['shots']} shots: "
            f"{line['seconds']} s together once the features are known ({names})"
        )
    start = f"{line['method']:18} {line['images']:12} {line['shots']:3} shots {line['seconds']:8.1f} s  "
    if line["refused"]:
        return f"{start}refused: {line['refused']}"
    return f"{start}accuracy {line['accuracy']:.3f}  {line['trainable_parameters']:>12,} learned numbers"


if __name__ == "__main__":
    main()
