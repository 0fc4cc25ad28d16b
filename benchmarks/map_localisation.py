"""Do maps lie on lesions whose place is known? Scores Grad-CAM by layer, and attention, on the drawn phantoms.

    python -m benchmarks.map_localisation [--method linear_probe] [--images 24]

Trains a method at 16 shots on the embedded backbone, explains test images that show a lesion, and prints for each
layer the enrichment (share of the map inside the mask over the mask's share of the image: 1 is chance) and how often
the map's peak lies in the mask. Phantoms are drawings: a map that finds their lesions may still miss real ones.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from core import train
from core.explain.attention import LAST_LAYERS, attention_map
from core.explain.grad_cam import grad_cam
from core.images.decode import decode_image
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.masks import mask_path
from core.images.phantoms import NO_LESION, make_phantoms
from core.tuning.classifier import Classifier

LAYERS = (-1, -2, -3, -4)


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
        shown = shown[:: max(1, len(shown) // arguments.images)]
        accuracy = run.record["metrics"]["accuracy"]
        print(f"{arguments.method}: test accuracy {accuracy:.2f}, {len(shown)} images with a lesion")
        print(f"{'map':24} {'median enrichment':>18} {'mean':>7} {'peak inside':>12}")
        for name, scores in score(run.model, shown):
            enrichment, hits = np.array([s[0] for s in scores]), np.mean([s[1] for s in scores])
            print(f"{name:24} {np.median(enrichment):18.2f} {enrichment.mean():7.2f} {hits:12.0%}")


def score(model: Classifier, images: list[LabelledImage]) -> Iterator[tuple[str, list[tuple[float, bool]]]]:
    """For each kind of map its name and, image by image, enrichment and whether the peak lies in the mask."""
    for layer in LAYERS:
        yield f"Grad-CAM, block {layer}", [_inside(_cam(model, image, layer), image) for image in images]
    yield f"attention, last {LAST_LAYERS}", [_inside(_attention(model, image), image) for image in images]


def _cam(model: Classifier, image: LabelledImage, layer: int) -> np.ndarray:
    pixels = model.backbone.preprocess(decode_image(image.path))[None]
    layout = model.backbone.image_attention(pixels, model.visual_tokens())
    norm = model.backbone.image_blocks()[layer].get_submodule("norm1")
    return np.nan_to_num(grad_cam(model, pixels, image.label, layout, norm).positive)


def _attention(model: Classifier, image: LabelledImage) -> np.ndarray:
    pixels = model.backbone.preprocess(decode_image(image.path))[None]
    layout = model.backbone.image_attention(pixels, model.visual_tokens())
    return np.nan_to_num(attention_map(layout))


def _inside(values: np.ndarray, image: LabelledImage) -> tuple[float, bool]:
    """Enrichment and hit of a grid map; a map of zeros is at chance and misses."""
    path = mask_path(image)
    assert path is not None, "only images with a mask are scored"
    size = (values.shape[1], values.shape[0])
    mask = np.asarray(Image.open(path).convert("L").resize(size, Image.Resampling.BOX), dtype=float) / 255
    if values.sum() <= 0:
        return 1.0, False
    share = float((values * mask).sum() / values.sum())
    return share / float(mask.mean()), bool(mask.flat[int(values.argmax())] > 0)


if __name__ == "__main__":
    main()
