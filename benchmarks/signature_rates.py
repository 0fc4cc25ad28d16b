"""How often does each failure signature fire, on images as they are and on the same images with a planted fault?

    PROMPTOSCOPE_TEST_DATA=FOLDER python -m benchmarks.signature_rates [--images 30] [--sets btmri cxr3 ...]

FOLDER holds image sets, one folder each. Prints for each set the part of its test images on which each signature fires
(false alarms, with a Wilson interval over all sets), and the part of the spoilt ones on which the signature of that
fault does: letters burnt in at a random place; a black frame with a bright marker in a corner; one patch whose share of
attention is raised as if its logit were 8 higher. The planted frame and letters need not draw attention: where they
draw none, nothing misleads, so those rates say how often they did.
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
from core.explain.signature import Seen, signatures
from core.explain.view import field_of_view
from core.images.decode import decode_image
from core.images.image_set import ImageSet

LOGIT = 8.0
FAULTS = {"burnt_in_text": "letters", "border": "frame", "collapse": "raised patch"}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--images", type=int, default=30, help="Test images of each set.")
    parser.add_argument("--sets", nargs="*")
    arguments = parser.parse_args()
    data = Path(os.environ["PROMPTOSCOPE_TEST_DATA"])
    names = arguments.sets or sorted(path.name for path in data.iterdir() if path.is_dir())
    backbone, rng = load_backbone(arguments.backbone), np.random.default_rng(0)
    clean: dict[str, list[bool]] = defaultdict(list)
    spoilt: dict[str, list[bool]] = defaultdict(list)
    print(f"{'set':10} {'n':>3}" + "".join(f" {each.name():>14} {FAULTS[each.name()]:>13}" for each in signatures()))
    for name in names:
        images = evenly(ImageSet.read(data / name, name).part("test"), arguments.images)
        found = [rates_of(backbone, decode_image(image.path), rng) for image in images]
        line = f"{name:10} {len(found):3}"
        for each in signatures():
            own = [rows[0][each.name()] for rows in found], [rows[1][each.name()] for rows in found]
            clean[each.name()] += own[0]
            spoilt[each.name()] += own[1]
            line += f" {np.mean(own[0]):14.2f} {np.mean(own[1]):13.2f}"
        print(line, flush=True)
    for kind, rows in (("clean", clean), ("spoilt", spoilt)):
        for each in signatures():
            found_rate = wilson_interval(sum(rows[each.name()]), len(rows[each.name()]))
            between = f"{found_rate.mean:.3f} [{found_rate.low:.3f}, {found_rate.high:.3f}]"
            print(f"{kind:7} {each.name():14} fires on {between} of {len(rows[each.name()])}, limit {each.limit:g}")


def rates_of(backbone, picture: Image.Image, rng: np.random.Generator) -> tuple[dict[str, bool], dict[str, bool]]:
    """Which signatures fire on a picture, and each on the picture with its own fault."""
    view = field_of_view(picture, backbone.preprocessing, backbone.preprocessing.size)
    plain = seen_of(backbone, view)
    faults = {
        "burnt_in_text": seen_of(backbone, with_letters(view, rng)),
        "border": seen_of(backbone, with_frame(view)),
        "collapse": Seen(view, raised(plain.attention, rng)),
    }
    return {each.name(): fires(each, plain) for each in signatures()}, {
        each.name(): fires(each, faults[each.name()]) for each in signatures()
    }


def fires(signature, seen: Seen) -> bool:
    """Whether a signature fires."""
    return bool(signature.look(seen)["fires"])


def seen_of(backbone, view: Image.Image) -> Seen:
    """A square picture with the tower's own attention."""
    attention = attention_map(backbone.image_attention(backbone.preprocess(view)[None].to(backbone.device)))
    return Seen.of(view, {"attention": attention})


def with_letters(view: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Seven letters of 12 to 20 px somewhere."""
    spoilt, size = view.copy(), int(rng.integers(12, 21))
    text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), 7))
    place = int(rng.integers(4, view.width - 5 * size)), int(rng.integers(4, view.height - size - 4))
    ImageDraw.Draw(spoilt).text(place, text, fill="white", font=ImageFont.load_default(size))
    return spoilt


def with_frame(view: Image.Image) -> Image.Image:
    """A black frame as wide as one of 14 patches with a white marker in its upper right corner."""
    spoilt, wide = view.copy(), view.width // 14
    draw = ImageDraw.Draw(spoilt)
    draw.rectangle((0, 0, view.width - 1, view.height - 1), outline="black", width=wide)
    draw.rectangle((view.width - wide, 0, view.width - 1, wide - 1), fill="white")
    return spoilt


def raised(attention: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Attention with one patch's weight times e^8, made to sum to 1."""
    spoilt = attention.copy()
    spoilt.ravel()[rng.integers(spoilt.size)] *= np.exp(LOGIT)
    return spoilt / np.nansum(spoilt)


if __name__ == "__main__":
    main()
