"""Draws of other protocols than few-shot: a share of all labels, images as they come, and a part of the classes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from core.errors import ClassMismatch, InvalidInput, TooFewImages
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.shots import ShotDraw, of_other_groups

MOST_REDRAWS = 1000


def draw_share(image_set: ImageSet, share: float, seed: int) -> ShotDraw:
    """A share of the training images of each class, and of the val part; shares of one seed contain each other.

    share: above 0, at most 1. One permutation per class and seed, of which the first ceil(share x images) are taken;
    where groups (patients) are known these are permuted, and whole groups taken until the count is reached. Without a
    val part nothing is held back, so nothing is calibrated. Raises InvalidInput and TooFewImages.
    """
    if not 0 < share <= 1:
        raise InvalidInput("A share of the labels above 0, at most 1", f"found {share:g}", "Choose 0.1, 0.3 or 1.")
    absent = [name for name, parts in image_set.counts().items() if not parts["train"]]
    if absent:
        raise TooFewImages(
            "Every class needs training images", f"none for {', '.join(repr(n) for n in absent)}", "Add images."
        )
    train = _share(image_set, image_set.part("train"), share, seed, "train")
    val = _share(image_set, image_set.part("val"), share, seed, "val")
    return ShotDraw.of(image_set, train, of_other_groups(val, train))


def draw_as_they_come(image_set: ImageSet, count: int, seed: int) -> tuple[ShotDraw, list[str]]:
    """`count` training images drawn without a look at their labels, and notes on what came.

    Classes may be missing and no image is kept back to tune or calibrate on. A draw that holds one class only is drawn
    again from the same stream. Raises TooFewImages for fewer than 2 images, or than asked for, and where no draw holds
    two classes.
    """
    train = image_set.part("train")
    if count < 2 or count > len(train):
        raise TooFewImages(
            f"Between 2 and {len(train)} images, which the training part has", f"asked for {count}", "Choose fewer."
        )
    stream = random.Random(f"{seed}|as they come")
    for redraws in range(MOST_REDRAWS):
        drawn = tuple(stream.sample(train, count))
        if len({image.label for image in drawn}) > 1:
            return ShotDraw.of(image_set, drawn, ()), _what_came(image_set, drawn, redraws)
    raise TooFewImages("A draw with two classes", f"{MOST_REDRAWS} draws of {count} held one class", "Draw more.")


def narrowed_draw(draw: ShotDraw, classes: Sequence[str], kept: Sequence[str]) -> ShotDraw:
    """The drawn images of some classes, their labels counted in `kept`. classes: all names, in the order of labels."""
    train, validation, rest = (_relabelled(part, classes, kept) for part in (draw.train, draw.validation, draw.rest))
    return ShotDraw(train, validation, rest, draw.test)


def halves(classes: Sequence[str], base: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Base and novel classes: the given ones and the rest, or the first half (rounded up) by label order and the rest.

    Raises ClassMismatch for a base class that is none, InvalidInput where nothing is left for a half.
    """
    unknown = [name for name in base if name not in classes]
    if unknown:
        raise ClassMismatch(
            f"Base classes among {', '.join(classes)}", f"found {', '.join(map(repr, unknown))}", "Correct the names."
        )
    chosen = set(base or classes[: math.ceil(len(classes) / 2)])
    first, second = (tuple(name for name in classes if (name in chosen) is side) for side in (True, False))
    if not second or len(classes) < 3:
        raise InvalidInput(
            "Base and novel classes need three classes at least, and one of them novel",
            f"found {len(first)} base and {len(second)} novel",
            "Choose another protocol, or an image set with more classes.",
        )
    return first, second


def _relabelled(
    images: Sequence[LabelledImage], classes: Sequence[str], kept: Sequence[str]
) -> tuple[LabelledImage, ...]:
    place = {classes.index(name): index for index, name in enumerate(kept)}
    return tuple(replace(image, label=place[image.label]) for image in images if image.label in place)


def _share(
    image_set: ImageSet, images: Sequence[LabelledImage], share: float, seed: int, part: str
) -> tuple[LabelledImage, ...]:
    kept: set[int] = set()
    for label, name in enumerate(image_set.classes):
        own = [(place, image) for place, image in enumerate(images) if image.label == label]
        units: dict[str, list[int]] = {}
        for place, image in own:
            units.setdefault(f"{place}" if image.group is None else f"group {image.group}", []).append(place)
        order = list(units.values())
        random.Random(f"{seed}|{part}|{name}").shuffle(order)
        wanted, taken = math.ceil(share * len(own)), 0
        for places in order:
            if taken >= wanted:
                break
            kept.update(places)
            taken += len(places)
    return tuple(image for place, image in enumerate(images) if place in kept)


def _what_came(image_set: ImageSet, drawn: Sequence[LabelledImage], redraws: int) -> list[str]:
    labels = {image.label for image in drawn}
    missing = [repr(name) for label, name in enumerate(image_set.classes) if label not in labels]
    notes = [f"The {len(drawn)} training images were drawn without a look at their labels."]
    notes += [f"The draw holds no image of {', '.join(missing)}."] if missing else []
    if redraws:
        again = "once" if redraws == 1 else f"{redraws} times"
        notes.append(f"It was drawn again {again}, since all images were of one class.")
    return notes
