"""Do maps lie on lesions whose place is known? Scores every explainer that needs few passes, on the drawn phantoms.

    python -m benchmarks.map_localisation [--method linear_probe] [--images 24]

Trains a method at 16 shots on the embedded backbone, draws maps of the true class on test images that show a lesion and
are classified rightly, and prints how often the strongest patch touches the lesion, with a Wilson interval, and the
enrichment (share of the map inside the mask over the mask's share of the image: 1 is chance), beside a blob in the
centre. Phantoms are drawings: a map that finds their lesions may still miss real ones.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from core import train
from core.evaluation.intervals import wilson_interval
from core.explain.captured import Captured, capture
from core.explain.classifier import pixels_of
from core.explain.frame import seen_mask
from core.explain.region import RegionShare, region_share
from core.explain.registry import explainer_names, get_explainer
from core.images.decode import decode_image
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.masks import mask_path
from core.images.phantoms import NO_LESION, make_phantoms
from core.tuning.classifier import Classifier

CENTRE = "a blob in the centre"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="linear_probe")
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = ImageSet.read(make_phantoms(Path(folder) / "phantoms"), "phantoms")
        run = train(images, arguments.method, home=Path(folder), out=Path(folder) / "model")
        shown = [image for image in images.part("test") if images.classes[image.label] != NO_LESION]
        found: dict[str, list[RegionShare]] = defaultdict(list)
        for name, share in score(run.model, shown[:: max(1, len(shown) // arguments.images)]):
            found[name].append(share)
        accuracy, n = run.record["metrics"]["accuracy"], len(found[CENTRE])
        print(f"{arguments.method}: test accuracy {accuracy:.2f}, {n} images with a lesion classified rightly")
        print(f"{'map':24} {'peak on lesion':>26} {'mean enrichment':>16} {'median':>7}")
        for name, shares in sorted(found.items(), key=lambda item: -hits(item[1])):
            print(line(name, shares))


def score(model: Classifier, images: Iterable[LabelledImage]) -> Iterator[tuple[str, RegionShare]]:
    """Each kind of map against the mask of each image that the model classifies rightly."""
    names = [name for name in explainer_names() if not get_explainer(name).on_demand()]
    for image in images:
        picture = decode_image(image.path)
        captured = capture(model, pixels_of(model, picture))
        if captured.predicted != image.label:
            continue
        region = lesion(model, image, picture)
        for name in names:
            yield name, region_share(get_explainer(name)().map_set(captured, [image.label]).maps[0], region)
        yield CENTRE, region_share(centre(captured), region)


def lesion(model: Classifier, image: LabelledImage, picture: Image.Image) -> np.ndarray:
    """The mask of an image in model input pixels."""
    path, backbone = mask_path(image), model.backbone
    assert path is not None, "only images with a mask are scored"
    with Image.open(path) as mask:
        return seen_mask(mask.convert("L"), picture.size, backbone.preprocessing, backbone.patch_grid).pixels


def centre(captured: Captured) -> np.ndarray:
    """A blob in the middle of the picture, a quarter of it wide: what needs no model."""
    rows, columns = captured.layout.grid
    y, x = np.mgrid[:rows, :columns]
    squared = (y - (rows - 1) / 2) ** 2 + (x - (columns - 1) / 2) ** 2
    return np.exp(-squared / (2 * (rows / 4) ** 2))


def hits(shares: list[RegionShare]) -> int:
    """On how many images the strongest patch touches the lesion."""
    return sum(share.pointing_hit for share in shares)


def line(name: str, shares: list[RegionShare]) -> str:
    """One row of the table."""
    found = wilson_interval(hits(shares), len(shares))
    known = [share.enrichment for share in shares if share.enrichment is not None]
    between = f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return f"{name:24} {between:>26} {np.mean(known):16.2f} {np.median(known):7.2f}"


if __name__ == "__main__":
    main()
