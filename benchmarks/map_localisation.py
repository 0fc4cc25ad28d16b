"""Do maps lie on lesions whose place is known? Scores every explainer that needs few passes, on the drawn phantoms.

    python -m benchmarks.map_localisation [--method linear_probe] [--images 24]

Trains a method at 16 shots on the embedded backbone and prints what `promptoscope explain benchmark` would print for
its test images that show a lesion. Phantoms are drawings: a map that finds their lesions may still miss real ones.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from core import train
from core.explain.batch_images import evenly, images_of_part
from core.explain.localisation import MEASURES, Scored, quick_explainers, score_images, summarise
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="linear_probe")
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = ImageSet.read(make_phantoms(Path(folder) / "phantoms"), "phantoms")
        run = train(images, arguments.method, home=Path(folder), out=Path(folder) / "model")
        shown = [image for image in images_of_part(images, "test") if image.mask is not None]
        scored = score_images(run.model, evenly(shown, arguments.images), quick_explainers(), lambda: None)
        found = summarise([row for row in scored if isinstance(row, Scored)])
        accuracy, n = run.record["metrics"]["accuracy"], found[0]["n"] if found else 0
        print(f"{arguments.method}: test accuracy {accuracy:.2f}, {n} images with a lesion classified rightly")
        print(f"{'map':24}" + "".join(f"{name:>20}" for name in MEASURES))
        for row in found:
            cells = (row[name] for name in MEASURES)
            print(f"{row['explainer']:24}" + "".join(f"{between(cell):>20}" for cell in cells))


def between(cell: dict[str, float] | None) -> str:
    """A mean with its interval."""
    return "-" if cell is None else f"{cell['mean']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


if __name__ == "__main__":
    main()
