"""RandAugment: two random changes of a picture, of one strength, drawn with replacement from a list."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

OPERATIONS = 2
FACTOR = 0.7
"""Of colour, contrast, brightness and sharpness: 1 leaves them."""
TURN_DEGREES, SHEAR = 10, 0.1
POSTERIZE_BITS, SOLARIZE_FROM, SOLARIZE_ADD, SOLARIZE_BELOW = 5, 85, 37, 128
CUTOUT_SHARE, SHIFT_SHARE = 13 / 224, 33 / 224
"""The side of the square cut out, and the shift, of the side of the picture."""
FILL = (125, 123, 114)

GREY_VALUES = ("autocontrast", "equalize", "invert", "posterize", "solarize", "solarize_add")
"""Operations that give grey values another meaning, as no device would."""
OTHERS = (
    *("rotate", "color", "contrast", "brightness", "sharpness"),
    *("shear_x", "shear_y", "cutout", "translate_x", "translate_y"),
)
ENHANCERS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


def rand_augment(image: Image.Image, names: tuple[str, ...], generator: torch.Generator) -> Image.Image:
    """The picture after two operations of those named, each with a random sign where it has one.

    Strength 10 of 30. Source: RandAugment (Cubuk et al., 2020) as the Dassl toolbox runs it for CoPrompt.
    """
    for _ in range(OPERATIONS):
        name = names[int(torch.randint(len(names), (), generator=generator))]
        sign = 1 if torch.rand((), generator=generator).item() < 0.5 else -1
        image = change(image, name, sign, generator)
    return image


def change(image: Image.Image, name: str, sign: int, generator: torch.Generator) -> Image.Image:
    """One operation of `GREY_VALUES` or `OTHERS`. sign: direction of the geometric ones, 1 or -1."""
    if name in ENHANCERS:
        return ENHANCERS[name](image).enhance(FACTOR)
    if name in GREY_VALUES:
        return _changed_values(image, name)
    if name == "cutout":
        return _cut_out(image, generator)
    if name == "rotate":
        return image.rotate(sign * TURN_DEGREES)
    side = image.width if name.endswith("_x") else image.height
    shear, shift = (sign * SHEAR, 0.0) if name.startswith("shear") else (0.0, sign * SHIFT_SHARE * side)
    matrix = (1, shear, shift, 0, 1, 0) if name.endswith("_x") else (1, 0, 0, shear, 1, shift)
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def _changed_values(image: Image.Image, name: str) -> Image.Image:
    if name == "posterize":
        return ImageOps.posterize(image, POSTERIZE_BITS)
    if name == "solarize":
        return ImageOps.solarize(image, SOLARIZE_FROM)
    if name == "solarize_add":
        table = [min(255, v + SOLARIZE_ADD) if v < SOLARIZE_BELOW else v for v in range(256)]
        return image.point(table * len(image.getbands()))
    if name == "invert":
        return ImageOps.invert(image)
    return ImageOps.equalize(image) if name == "equalize" else ImageOps.autocontrast(image)


def _cut_out(image: Image.Image, generator: torch.Generator) -> Image.Image:
    """With a square around a random point filled grey."""
    place: list[float] = torch.rand(2, generator=generator).tolist()
    x, y, half = place[0] * image.width, place[1] * image.height, CUTOUT_SHARE * image.width / 2
    image = image.copy()
    ImageDraw.Draw(image).rectangle((x - half, y - half, x + half, y + half), fill=FILL)
    return image
