"""Views: the randomly cropped and flipped forms of a picture that training sees, each drawn from its own seed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from core.backbones.contract import PictureReader
from core.tuning.pixel_changes import change_pixels
from core.tuning.randaugment import GREY_VALUES, OTHERS, rand_augment


@dataclass(frozen=True)
class Augmentation:
    """How a view is drawn. area: share of the picture's area; aspect: of the crop; flip: probability.

    operations: of RandAugment; where there are some, the whole picture is squeezed into the square and nothing cropped.
    """

    area: tuple[float, float] = (1.0, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    operations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What is done to a view on top: probabilities.

    Jitter changes brightness, contrast and saturation by up to 40 % and hue by up to a tenth of the circle.
    """

    flip: float = 0.0
    jitter: float = 0.0
    blur: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    # the crop that BiomedCoOp-style trainers use: down to 8 % of the area, no flip
    "crop": Augmentation(area=(0.08, 1.0)),
    # the original CoOp augmentation adds a flip
    "crop_flip": Augmentation(area=(0.08, 1.0), flip=0.5),
    # of the adapter runners: lesions are rarely cut away
    "mild": Augmentation(area=(0.5, 1.0), flip=0.5),
    # CoPrompt's, whole and without what gives grey values another meaning
    "randaugment": Augmentation(operations=(*GREY_VALUES, *OTHERS)),
    "randaugment_gentle": Augmentation(operations=OTHERS),
}
# the weak and the strong view of BioVLM, colours changed before normalising; mirror always flips
CHANGES: dict[str, Change] = {
    "mirror": Change(flip=1.0),
    "weak": Change(flip=0.5),
    "strong": Change(flip=0.5, jitter=0.8, blur=0.5),
}
ON_TOP = "+"
"""Between an augmentation and a change on top of it: "crop_flip+strong"."""
AGAIN = "again"
"""In the place of a change: no change of the view, but another draw of it."""
CENTER = "center"
"""The evaluation view: the backbone's own preprocessing, nothing random."""
CROP_TRIES = 10
JITTER, HUE_JITTER = 0.4, 0.1
BLUR_RADIUS_PX = 0.8
"""Close to the 3 x 3 kernel of the published view."""


def view_address(augmentation: str, seed: int, view: int) -> str:
    """What names a view of any picture: the augmentation, and for random ones the run seed and the view's number."""
    return augmentation if augmentation == CENTER else f"{augmentation}:{seed}:{view}"


def view_generator(seed: int, image_sha256: str, augmentation: str, view: int) -> torch.Generator:
    """The generator that view `view` of one picture is drawn from; equal wherever the same bytes turn up."""
    text = f"{seed}|{image_sha256}|{augmentation}|{view}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


def draw_view(
    image: Image.Image, reader: PictureReader, augmentation: str, seed: int, image_sha256: str, view: int
) -> Tensor:
    """View number `view` as model input (3, size, size).

    augmentation: with a change on top ("crop_flip+strong") the crop is the one that the view without it has. A change
    is one of `CHANGES` or of `core.tuning.pixel_changes`.
    """
    base, _, change = augmentation.partition(ON_TOP)
    if base != CENTER:
        drawn = view_generator(seed, image_sha256, augmentation if change == AGAIN else base, view)
        image = _cropped(image, reader, AUGMENTATIONS[base], drawn)
    if not change or change == AGAIN:
        return reader.preprocess(image)
    drawn = view_generator(seed, image_sha256, augmentation, view)
    if change in CHANGES:
        return reader.preprocess(_changed(image, CHANGES[change], drawn))
    return change_pixels(change, reader.preprocess(image), reader.preprocessing, drawn)


def _cropped(image: Image.Image, reader: PictureReader, spec: Augmentation, generator: torch.Generator) -> Image.Image:
    size = reader.preprocessing.size
    how = Image.Resampling.BICUBIC if reader.preprocessing.interpolation == "bicubic" else Image.Resampling.BILINEAR
    if spec.operations:
        return rand_augment(image.resize((size, size), how), spec.operations, generator)
    view = image.resize((size, size), how, box=crop_box(image.width, image.height, spec, generator))
    return ImageOps.mirror(view) if torch.rand((), generator=generator).item() < spec.flip else view


def _changed(image: Image.Image, spec: Change, generator: torch.Generator) -> Image.Image:
    if torch.rand((), generator=generator).item() < spec.flip:
        image = ImageOps.mirror(image)
    if spec.jitter and torch.rand((), generator=generator).item() < spec.jitter:
        image = jitter_colours(image, generator)
    if spec.blur and torch.rand((), generator=generator).item() < spec.blur:
        image = image.filter(ImageFilter.GaussianBlur(BLUR_RADIUS_PX))
    return image


def jitter_colours(image: Image.Image, generator: torch.Generator) -> Image.Image:
    """Brightness, contrast, saturation and hue changed by random amounts, in this order."""
    *strengths, turn = (torch.rand(4, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
    for kind, strength in zip(
        (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), strengths, strict=True
    ):
        image = kind(image).enhance(1 + JITTER * strength)
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + round(HUE_JITTER * turn * 256)) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def crop_box(width: int, height: int, spec: Augmentation, generator: torch.Generator) -> tuple[int, int, int, int]:
    """A random crop (left, top, right, bottom) in px with area and aspect inside the augmentation's ranges.

    The rule of RandomResizedCrop: area uniform, aspect log-uniform, ten tries, then the largest centred crop of an
    allowed aspect (Szegedy et al., Going deeper with convolutions, 2015).
    """
    low, high = (math.log(edge) for edge in spec.aspect)
    for _ in range(CROP_TRIES):
        draws = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        area = width * height * (spec.area[0] + draws[0] * (spec.area[1] - spec.area[0]))
        aspect = math.exp(low + draws[1] * (high - low))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draws[2] * (width - w + 1)), int(draws[3] * (height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * spec.aspect[1]))
    h = min(height, round(width / spec.aspect[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
