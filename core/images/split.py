"""Cutting a part off a set of images: stratified by class, whole groups at a time, repeatable by seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InvalidInput, TooFewImages
from core.images.image_set import LabelledImage, Part


@dataclass(frozen=True)
class HeldOut:
    """kept, held: the two parts, each in the given order. notes: what could not be done as asked, in sentences."""

    kept: tuple[LabelledImage, ...]
    held: tuple[LabelledImage, ...]
    notes: tuple[str, ...] = ()


def hold_out(
    images: Sequence[LabelledImage], classes: Sequence[str], fraction: float = 0.3, seed: int = 0, part: Part = "test"
) -> HeldOut:
    """Move about `fraction` of each class into `part`; a group (patient) goes over whole or not at all.

    Each class keeps at least one image on both sides where it can. The draw depends on the seed and on the images'
    bytes and groups, not on file names or order. Raises InvalidInput for a fraction outside (0, 1) and TooFewImages
    if a class has a single image.
    """
    if not 0 < fraction < 1:
        raise InvalidInput("A held-out fraction between 0 and 1", f"found {fraction:g}", "Choose for example 0.3.")
    held_units = _choose(images, classes, fraction, random.Random(seed))
    held_flags = [_unit(image) in held_units for image in images]
    held = tuple(replace(i, part=part) for i, is_held in zip(images, held_flags, strict=True) if is_held)
    kept = tuple(i for i, is_held in zip(images, held_flags, strict=True) if not is_held)
    return HeldOut(kept, held, tuple(_missing(kept, held, images, classes, part)))


def _unit(image: LabelledImage) -> tuple[str, str]:
    """What moves as one: a group, or an image (equal bytes are one image)."""
    return ("group", image.group) if image.group is not None else ("image", image.sha256)


def _choose(
    images: Sequence[LabelledImage], classes: Sequence[str], fraction: float, draw: random.Random
) -> set[tuple[str, str]]:
    """Units to hold out, class by class; rare classes first, as they have least choice."""
    units: dict[tuple[str, str], list[LabelledImage]] = defaultdict(list)
    for image in images:
        units[_unit(image)].append(image)
    sizes = [sum(i.label == label for i in images) for label in range(len(classes))]
    _check_sizes(sizes, classes)
    held: set[tuple[str, str]] = set()
    kept: set[tuple[str, str]] = set()
    for label in sorted((x for x in range(len(classes)) if sizes[x]), key=lambda x: (sizes[x], x)):
        mine = sorted(key for key, members in units.items() if any(i.label == label for i in members))
        draw.shuffle(mine)
        count = {key: sum(i.label == label for i in units[key]) for key in mine}
        wanted = min(max(1, round(fraction * sizes[label])), sizes[label] - 1)
        n_held = sum(count[key] for key in mine if key in held)
        free = [key for key in mine if key not in held and key not in kept]
        must_keep = 0 if any(key in kept for key in mine) else 1
        # One unit stays whatever is drawn: the largest where most shall be kept, else the smallest.
        stay = set(sorted(free, key=lambda key: count[key], reverse=fraction <= 0.5)[:must_keep])
        for key in free:
            if key not in stay and _brings_nearer(n_held, count[key], wanted):
                held.add(key)
                n_held += count[key]
            else:
                kept.add(key)
    return held


def _brings_nearer(n_held: int, step: int, wanted: int) -> bool:
    """Whether taking `step` more images ends nearer to `wanted`; the first unit is always taken."""
    return n_held == 0 or abs(n_held + step - wanted) < abs(n_held - wanted)


def _check_sizes(sizes: Sequence[int], classes: Sequence[str]) -> None:
    single = [f"'{name}'" for name, size in zip(classes, sizes, strict=True) if size == 1]
    if single:
        raise TooFewImages(
            "Holding out a part needs at least 2 images in each class",
            f"{', '.join(single)} {'has' if len(single) == 1 else 'have'} 1",
            "Add images or give the parts yourself in folders train and test.",
        )


def _missing(
    kept: Sequence[LabelledImage],
    held: Sequence[LabelledImage],
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    part: Part,
) -> list[str]:
    """Sentences about classes that stand on one side only, because one group holds all their images."""
    notes = []
    for label in sorted({i.label for i in images}):
        for side, name in ((kept, "train"), (held, part)):
            if not any(i.label == label for i in side):
                notes.append(
                    f"Class '{classes[label]}' has no image in the {name} part: its images belong to too few groups."
                )
    return notes
