"""Do maps lie on what decides, where its place is known? Scores every explainer that needs few passes.

    python -m benchmarks.map_localisation [--images phantoms] [--method linear_probe coop] [--limit 60] [--hiding]
    PROMPTOSCOPE_TEST_DATA=FOLDER python -m benchmarks.map_localisation --images cells

Trains each method at 16 shots on the embedded backbone and prints what `promptoscope explain benchmark` would print for
test images with a mask. phantoms: drawn images with lesions; a map that finds these may still miss real ones. cells:
photographs of white blood cells (FOLDER/wbc4), whose nuclei are marked by their colour. --hiding: deletion and
insertion too, 16 passes a map and image.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.cells import with_nuclei
from core import train
from core.explain.batch_images import evenly, images_of_part
from core.explain.localisation import MEASURES, Scored, quick_explainers, score_images, summarise
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", choices=("phantoms", "cells"), default="phantoms")
    parser.add_argument("--method", nargs="+", default=["linear_probe"])
    parser.add_argument("--limit", type=int, default=60, help="test images")
    parser.add_argument("--hiding", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        images = read(asked.images, home)
        for method in asked.method:
            run = train(images, method, home=home, out=home / method)
            shown = evenly([image for image in images_of_part(images, "test") if image.mask is not None], asked.limit)
            scored = score_images(run.model, shown, quick_explainers(), lambda: None, hiding=asked.hiding)
            found = summarise([row for row in scored if isinstance(row, Scored)])
            accuracy, n = run.record["metrics"]["accuracy"], found[0]["n"] if found else 0
            print(f"{method}: test accuracy {accuracy:.2f}, {n} of {len(shown)} images answered rightly")
            print(f"{'map':24}" + "".join(f"{name:>20}" for name in MEASURES))
            for row in found:
                cells = (row[name] for name in MEASURES)
                print(f"{row['explainer']:24}" + "".join(f"{between(cell):>20}" for cell in cells), flush=True)


def read(name: str, home: Path) -> ImageSet:
    """The set asked for."""
    if name == "phantoms":
        return ImageSet.read(make_phantoms(home / name), name)
    return ImageSet.read(with_nuclei(Path(os.environ["PROMPTOSCOPE_TEST_DATA"]) / "wbc4", home / name), name)


def between(cell: dict[str, float] | None) -> str:
    """A mean with its interval."""
    return "-" if cell is None else f"{cell['mean']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


if __name__ == "__main__":
    main()
