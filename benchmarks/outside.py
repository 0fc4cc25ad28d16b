"""Which kinds of shift does the distance to the training images find, and which not?

    PROMPTOSCOPE_TEST_DATA=FOLDER python -m benchmarks.outside [--sets btmri cxr3 ...] [--shots 16] [--images 60]

FOLDER holds image sets, one folder each. For each set `shots` training images a class are drawn; its test images are
the familiar ones. One row a kind of shift, never one number for all: AUROC of strange against familiar images (95 %,
bootstrap of both), the share of strange images with p <= 0.05, how many. Kinds that were not tried are named. The last
rows say how many familiar images are called outside: the false alarms.
"""

from __future__ import annotations

import argparse
import io
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from sklearn.metrics import roc_auc_score

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.evaluation.outside import OUTSIDE_P, distances_inside, nearest_images, outside_p
from core.explain.batch_images import evenly
from core.images.decode import decode_image
from core.images.image_set import ImageSet
from core.images.shots import draw_shots
from core.tuning.judge import as_numbers

RESAMPLES = 1000
PASS = 32
NOT_TRIED = ("the same classes from another hospital or scanner", "another population")


def blurred(picture: Image.Image) -> Image.Image:
    """Gaussian blur with a radius of a fiftieth of the longer side."""
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 50))


def noisy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gaussian noise of standard deviation 40 of 255 on every value."""
    values = np.asarray(picture, dtype=np.float64)
    return Image.fromarray((values + rng.normal(0, 40, values.shape)).clip(0, 255).astype(np.uint8))


def compressed(picture: Image.Image) -> Image.Image:
    """JPEG of quality 5."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=5)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def cut(picture: Image.Image) -> Image.Image:
    """The upper left quarter."""
    return picture.crop((0, 0, max(1, picture.width // 2), max(1, picture.height // 2)))


def noise(size: int, rng: np.random.Generator) -> Image.Image:
    """Independent grey values."""
    return Image.fromarray(rng.integers(0, 256, (size, size), dtype=np.uint8)).convert("RGB")


def page_of_text(size: int, rng: np.random.Generator) -> Image.Image:
    """Black letters on white."""
    page = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(page)
    for row in range(8, size - 16, 18):
        words = "".join(rng.choice(list("abcdefghij klmnopqrst uvwxyz"), size // 8))
        draw.text((6, row), words, fill="black", font=ImageFont.load_default(12))
    return page


DEGRADED: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "blur": lambda picture, rng: blurred(picture),
    "noise on top": noisy,
    "JPEG of quality 5": lambda picture, rng: compressed(picture),
    "cut to a quarter": lambda picture, rng: cut(picture),
    "inverted grey": lambda picture, rng: ImageOps.invert(picture),
}


def features_of(backbone: Backbone, pictures: list[Image.Image]) -> np.ndarray:
    """Unit-norm features (pictures, width)."""
    rows = []
    for start in range(0, len(pictures), PASS):
        pixels = torch.stack([backbone.preprocess(picture) for picture in pictures[start : start + PASS]])
        rows.append(backbone.encode_images_frozen(pixels.to(backbone.device)).float())
    return as_numbers(torch.cat(rows))


def auroc(strange: np.ndarray, familiar: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """AUROC and its 95 % interval by a bootstrap of both kinds."""
    labels = np.repeat([1, 0], [len(strange), len(familiar)])

    def once(a: np.ndarray, b: np.ndarray) -> float:
        return float(roc_auc_score(labels, np.concatenate([a, b])))

    drawn = [once(rng.choice(strange, len(strange)), rng.choice(familiar, len(familiar))) for _ in range(RESAMPLES)]
    return once(strange, familiar), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


class Familiar:
    """Shots of some classes of a set, and what lies how far from them."""

    def __init__(self, seen: np.ndarray) -> None:
        self.seen, self.kept = seen, distances_inside(seen, np.arange(len(seen)), range(len(seen)))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """The score of each image."""
        return nearest_images(features, self.seen).score

    def flagged(self, features: np.ndarray) -> float:
        """The share called outside."""
        found = outside_p(self.distance(features), self.kept)
        assert found is not None
        return float((found <= OUTSIDE_P).mean())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--images", type=int, default=60, help="Test images of each set.")
    parser.add_argument("--sets", nargs="*")
    arguments = parser.parse_args()
    data = Path(os.environ["PROMPTOSCOPE_TEST_DATA"])
    names = arguments.sets or sorted(path.name for path in data.iterdir() if path.is_dir())
    backbone, rng = load_backbone(arguments.backbone), np.random.default_rng(0)
    size = backbone.preprocessing.size
    shots, tests, labels, of_shots, changed = {}, {}, {}, {}, {}
    for name in names:
        found = ImageSet.read(data / name, name)
        drawn, test = draw_shots(found, arguments.shots, 1).train, evenly(found.part("test"), arguments.images)
        pictures = [decode_image(image.path) for image in test]
        shots[name] = features_of(backbone, [decode_image(image.path) for image in drawn])
        tests[name], labels[name] = features_of(backbone, pictures), np.array([image.label for image in test])
        of_shots[name] = np.array([image.label for image in drawn])
        changed[name] = {
            kind: features_of(backbone, [change(p, rng) for p in pictures]) for kind, change in DEGRADED.items()
        }
    others = {
        "noise": features_of(backbone, [noise(size, rng) for _ in range(arguments.images)]),
        "a page of text": features_of(backbone, [page_of_text(size, rng) for _ in range(arguments.images)]),
    }
    rows: dict[str, list[tuple[Familiar, np.ndarray, np.ndarray]]] = defaultdict(list)
    for name in names:
        whole = Familiar(shots[name])
        for label in np.unique(of_shots[name]):
            without = Familiar(shots[name][of_shots[name] != label])
            own = labels[name] == label
            if own.any() and not own.all():
                rows["other class, same modality"].append((without, tests[name][own], tests[name][~own]))
        for other in names:
            if other != name:
                rows["other modality"].append((whole, tests[other], tests[name]))
        for kind, features in changed[name].items():
            rows[f"degraded: {kind}"].append((whole, features, tests[name]))
        for kind, features in others.items():
            rows[f"no image of a body: {kind}"].append((whole, features, tests[name]))
    print(f"{backbone.name}, {arguments.shots} shots, sets {', '.join(names)}; means over sets, 95 % of AUROC: lowest")
    print("| kind of shift | AUROC | lowest of its settings, 95 % | called outside | settings | strange images |")
    print("|---|---|---|---|---|---|")
    for kind, settings in rows.items():
        areas = [auroc(known.distance(a), known.distance(b), rng) for known, a, b in settings]
        low = min(areas)
        called = np.mean([known.flagged(a) for known, a, _ in settings])
        count = sum(len(a) for _, a, _ in settings)
        mean = np.mean([area for area, _, _ in areas])
        worst = f"{low[0]:.2f} ({low[1]:.2f} to {low[2]:.2f})"
        print(f"| {kind} | {mean:.2f} | {worst} | {100 * called:.0f} % | {len(settings)} | {count} |")
    for name in names:
        print(f"familiar images of {name} called outside: {100 * Familiar(shots[name]).flagged(tests[name]):.0f} %")
    print(f"Not tried: {'; '.join(NOT_TRIED)}.")


if __name__ == "__main__":
    main()
