"""Cutting a part off a set of images: stratified by class, whole groups at a time, repeatable by seed."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InvalidInput, TooFewImages
from core.images.labelled_image import LabelledImage, Part

Unit = tuple[str, str]


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

    Images with equal bytes go together too, and with them their groups. Each class keeps at least one training image
    and gives at least one image where it can. The draw depends on the seed and on the images' bytes and groups, not on
    file names or order. Raises InvalidInput for a fraction outside (0, 1) and TooFewImages if a class has a single
    image.
    """
    if not 0 < fraction < 1:
        raise InvalidInput("A held-out fraction between 0 and 1", f"found {fraction:g}", "Choose for example 0.3.")
    units = _units(images)
    held_units = _choose(images, units, classes, fraction, random.Random(seed))
    held_flags = [unit in held_units for unit in units]
    held = tuple(replace(i, part=part) for i, is_held in zip(images, held_flags, strict=True) if is_held)
    kept = tuple(i for i, is_held in zip(images, held_flags, strict=True) if not is_held)
    return HeldOut(kept, held, tuple(_missing(kept, held, images, classes, part)))


def _units(images: Sequence[LabelledImage]) -> list[Unit]:
    """What each image moves with: its group or its bytes; groups that share bytes are one, under the first name."""
    parent: dict[Unit, Unit] = {}

    def root(unit: Unit) -> Unit:
        while parent.setdefault(unit, unit) != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    for image in images:
        content = root(("image", image.sha256))
        if image.group is not None:
            first, second = sorted((content, root(("group", image.group))))
            parent[second] = first
    return [root(("image", image.sha256)) for image in images]


def _choose(
    images: Sequence[LabelledImage],
    unit_of: Sequence[Unit],
    classes: Sequence[str],
    fraction: float,
    draw: random.Random,
) -> set[Unit]:
    """Units to hold out, class by class; rare classes first, as they have least choice."""
    count: dict[int, Counter[Unit]] = defaultdict(Counter)
    trained: dict[int, Counter[Unit]] = defaultdict(Counter)
    for image, unit in zip(images, unit_of, strict=True):
        count[image.label][unit] += 1
        trained[image.label][unit] += image.part == "train"
    sizes = [count[label].total() for label in range(len(classes))]
    _check_sizes(sizes, classes)
    held: set[Unit] = set()
    kept: set[Unit] = set()
    for label in sorted((x for x in range(len(classes)) if sizes[x]), key=lambda x: (sizes[x], x)):
        mine = sorted(count[label])
        draw.shuffle(mine)
        wanted = min(max(1, round(fraction * sizes[label])), sizes[label] - 1)
        n_held = sum(count[label][key] for key in mine if key in held)
        free = [key for key in mine if key not in held and key not in kept]
        stay = _staying(free, count[label], trained[label], fraction)
        if any(key in kept and trained[label][key] for key in mine):
            stay = set()
        for key in free:
            if key not in stay and _brings_nearer(n_held, count[label][key], wanted):
                held.add(key)
                n_held += count[label][key]
            else:
                kept.add(key)
    return held


def _staying(free: list[Unit], count: Counter[Unit], trained: Counter[Unit], fraction: float) -> set[Unit]:
    """One unit that stays whatever is drawn, one with training images if there is any.

    It is the largest where most shall be kept, else the smallest.
    """
    can_train = [key for key in free if trained[key]] or free
    return set(sorted(can_train, key=lambda key: count[key], reverse=fraction <= 0.5)[:1])


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
