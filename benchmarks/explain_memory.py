"""Whether a long loop of explanations keeps memory flat.

    python -m benchmarks.explain_memory [--json] [--backbone embedded] [--method coop] [--images 1000] [--whole]

Prints the resident memory of this process after the first images, a tenth of them and all, in MB. Each image is another
drawn picture; its first answer (maps of all classes and attention) is made and written as the site does it, and with
`--whole` its tests and what-if passes too. Classes and learned values as in `explain_speed`.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.explain_speed import build
from core.explain.explain import explain_first, explain_image
from core.tuning.classifier import Classifier

MB = 1024 * 1024
FIRST = 20
"""Images after which everything has been loaded and allocated once."""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON objects")
    parser.add_argument("--backbone", default="embedded", help="a name or a folder")
    parser.add_argument("--method", default="coop", help="how images and texts are read")
    parser.add_argument("--classes", type=int, default=3, help="classes that get a map")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--whole", action="store_true", help="tests and what-if passes too")
    asked = parser.parse_args()
    classifier = build(asked.backbone, asked.method, asked.classes)
    for row in resident(classifier, asked.images, asked.whole):
        print(json.dumps(row) if asked.json else f"{row['images']:6} images {row['maps']:7} maps {row['mb']:8.1f} MB")


def resident(classifier: Classifier, images: int, whole: bool = False) -> Iterator[dict[str, Any]]:
    """{images, maps, mb} after the first images, a tenth and all of them."""
    told, maps = {min(FIRST, images), max(1, images // 10), images}, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, images + 1):
            maps += explain_one(classifier, picture(number), Path(folder), whole)
            if number in told:
                gc.collect()
                yield {"images": number, "maps": maps, "mb": psutil.Process().memory_info().rss / MB}


def explain_one(classifier: Classifier, image: Image.Image, folder: Path, whole: bool) -> int:
    """Explains one picture and gives how many maps it got."""
    if whole:
        return len(explain_image(classifier, image, out_dir=folder).maps)
    return len(explain_first(classifier, image, None, folder).maps)


def picture(number: int) -> Image.Image:
    """A textured picture; each number gives another one."""
    draw = np.random.default_rng(number)
    return Image.fromarray(draw.integers(0, 255, (240, 300, 3), dtype=np.uint8))


if __name__ == "__main__":
    main()
