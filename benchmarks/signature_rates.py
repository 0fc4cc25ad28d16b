"""How often does each failure signature fire, on images as they are and on the same images with a planted fault?

    PROMPTOSCOPE_TEST_DATA=FOLDER python -m benchmarks.signature_rates [--images 30] [--sets btmri cxr3 ...]

FOLDER holds image sets, one folder each. Prints for each set and signature three parts of its test images, with Wilson
intervals over all sets: on which it fires as they are (false alarms); on which it fires once its fault is in the
picture and nothing else is changed; and on which it fires if that fault also draws attention. Faults: letters burnt in
at a random place; a black frame with a bright marker in a corner; one patch. Drawing attention: patches of the fault
have their share raised as if their logits were so much higher as `LOGITS` says, by the part of the patch that the fault
covers. A fault that draws no attention misleads nobody, so the second part says how often the tower was drawn to it.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.backbones.loading import load_backbone
from core.evaluation.intervals import wilson_interval
from core.explain.attention import attention_map
from core.explain.batch_images import evenly
from core.explain.region import coverage
from core.explain.signature import Seen, signatures
from core.explain.view import field_of_view
from core.images.decode import decode_image
from core.images.image_set import ImageSet

LOGITS = {"burnt_in_text": 2.0, "border": 2.0, "collapse": 8.0}
FAULTS = {"burnt_in_text": "letters", "border": "frame", "collapse": "one patch"}
CLEAN_TEXT, TEXT = ("letters", "as they are"), ("letters", "planted")
KINDS = {"clean": "as they are", "planted": "fault in the picture", "drawing": "fault that draws attention"}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--images", type=int, default=30, help="Test images of each set.")
    parser.add_argument("--sets", nargs="*")
    arguments = parser.parse_args()
    data = Path(os.environ["PROMPTOSCOPE_TEST_DATA"])
    names = arguments.sets or sorted(path.name for path in data.iterdir() if path.is_dir())
    backbone = load_backbone(arguments.backbone)
    kept: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for name in names:
        images = evenly(ImageSet.read(data / name, name).part("test"), arguments.images)
        found = [
            rates_of(backbone, decode_image(image.path), np.random.default_rng(at)) for at, image in enumerate(images)
        ]
        for each in signatures():
            parts = {kind: [row[each.name(), kind] for row in found] for kind in KINDS}
            for kind, values in parts.items():
                kept[each.name(), kind] += values
            shares = "  ".join(f"{kind} {np.mean(values):.2f}" for kind, values in parts.items())
            print(f"{name:10} {len(found):3}  {each.name():14} {FAULTS[each.name()]:10} {shares}", flush=True)
        seen = f"as they are {mean(found, CLEAN_TEXT)}, planted {mean(found, TEXT)}"
        print(f"{name:10} {len(found):3}  letters seen: {seen}")
    for (signature, kind), values in kept.items():
        rate = wilson_interval(sum(values), len(values))
        between = f"{rate.mean:.2f} [{rate.low:.2f}, {rate.high:.2f}]"
        print(f"all {len(values):7}  {signature:14} {KINDS[kind]:28} {between}")


def mean(rows: list[dict[tuple[str, str], bool]], name: tuple[str, str]) -> str:
    """Part of the images, in two digits."""
    return f"{np.mean([row[name] for row in rows]):.2f}"


def rates_of(backbone, picture: Image.Image, rng: np.random.Generator) -> dict[tuple[str, str], bool]:
    """Which signatures fire: {(signature, kind): bool}, and whether letters are seen."""
    view = field_of_view(picture, backbone.preprocessing, backbone.preprocessing.size)
    plain = seen_of(backbone, view)
    spoilt = {"burnt_in_text": with_letters(view, rng), "border": with_frame(view), "collapse": (view, one_patch(rng))}
    found: dict[tuple[str, str], bool] = {}
    for each in signatures():
        name, (planted, where) = each.name(), spoilt[each.name()]
        seen = plain if planted is view else seen_of(backbone, planted)
        drawn = Seen(planted, raised(seen.attention, coverage(where, seen.attention.shape), LOGITS[name]))
        for kind, shown in zip(KINDS, (plain, seen, drawn), strict=True):
            found[name, kind] = fires(each, shown)
        if name == "burnt_in_text":
            found[CLEAN_TEXT] = each.statistic(plain) is not None
            found[TEXT] = each.statistic(seen) is not None
    return found


def fires(signature, seen: Seen) -> bool:
    """Whether a signature fires."""
    return bool(signature.look(seen)["fires"])


def seen_of(backbone, view: Image.Image) -> Seen:
    """A square picture with the tower's own attention."""
    attention = attention_map(backbone.image_attention(backbone.preprocess(view)[None].to(backbone.device)))
    return Seen.of(view, {"attention": attention})


def with_letters(view: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """Seven letters of 12 to 20 px somewhere, and the box that holds them (bool, height and width)."""
    spoilt, size = view.copy(), int(rng.integers(12, 21))
    text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), 7))
    place = int(rng.integers(4, view.width - 5 * size)), int(rng.integers(4, view.height - size - 4))
    draw, font = ImageDraw.Draw(spoilt), ImageFont.load_default(size)
    draw.text(place, text, fill="white", font=font)
    left, top, right, bottom = (int(edge) for edge in draw.textbbox(place, text, font=font))
    return spoilt, box(view, left, top, right, bottom)


def with_frame(view: Image.Image) -> tuple[Image.Image, np.ndarray]:
    """A black frame as wide as one of 14 patches with a white marker in its upper right corner, and where it is."""
    spoilt, wide = view.copy(), view.width // 14
    draw = ImageDraw.Draw(spoilt)
    draw.rectangle((0, 0, view.width - 1, view.height - 1), outline="black", width=wide)
    draw.rectangle((view.width - wide, 0, view.width - 1, wide - 1), fill="white")
    return spoilt, ~box(view, wide, wide, view.width - wide, view.height - wide)


def one_patch(rng: np.random.Generator) -> np.ndarray:
    """One of 14 x 14 patches of a picture of 224 px."""
    where = np.zeros((14, 14), dtype=bool)
    where.ravel()[rng.integers(where.size)] = True
    return where.repeat(16, axis=0).repeat(16, axis=1)


def box(view: Image.Image, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Bool (height, width) of a box."""
    where = np.zeros((view.height, view.width), dtype=bool)
    where[top:bottom, left:right] = True
    return where


def raised(attention: np.ndarray, covered: np.ndarray, logit: float) -> np.ndarray:
    """Attention with each patch's weight times e^(logit x the covered part of it), made to sum to 1."""
    spoilt = attention * np.exp(logit * covered)
    return spoilt / np.nansum(spoilt)


if __name__ == "__main__":
    main()
