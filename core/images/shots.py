"""The few-shot draw: K training images per class, and a few more to tune on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.errors import InvalidInput, TooFewImages
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage

MOST_VALIDATION_SHOTS = 4


@dataclass(frozen=True)
class ShotDraw:
    """train: the drawn training images. validation: images to tune and calibrate on, possibly none.

    rest: images of the training part that neither of the two holds, for methods that read pictures without their
    labels. test: contents (sha256) that nothing may be learned from.
    """

    train: tuple[LabelledImage, ...]
    validation: tuple[LabelledImage, ...]
    rest: tuple[LabelledImage, ...] = ()
    test: frozenset[str] = frozenset()

    @classmethod
    def of(cls, image_set: ImageSet, train: Sequence[LabelledImage], validation: Sequence[LabelledImage]) -> ShotDraw:
        """A draw from a set, with what it leaves."""
        test = frozenset(image.sha256 for image in image_set.part("test"))
        used = test | {image.sha256 for image in (*train, *validation)}
        left = {image.sha256: image for image in image_set.part("train") if image.sha256 not in used}
        return cls(tuple(train), tuple(validation), tuple(left.values()), test)

    def as_dict(self) -> dict[str, list[dict[str, str]]]:
        """File and sha256 of each image, by "train" and "validation": what a record keeps of a draw."""
        return {
            role: [{"file": image.name, "sha256": image.sha256} for image in images]
            for role, images in (("train", self.train), ("validation", self.validation))
        }


def draw_shots(image_set: ImageSet, shots: int | None, seed: int) -> ShotDraw:
    """Draw `shots` training images per class, and min(shots, 4) per class for validation.

    The published rule of the CoOp family, so that a seed means the same images: one `random.Random(seed)`; classes in
    the order of their first image in the training part; `sample(items, shots)` for each; then, from the same stream,
    `sample(items, min(shots, 4))` of the val part. Without a val part the validation images come from training images
    that were not drawn. An image whose group (patient) was drawn for training is never a validation image; a class
    may therefore have fewer validation images than asked for, or none.

    shots None takes all training images, and the whole val part as validation. Raises TooFewImages if a class has
    fewer than `shots` training images and InvalidInput if shots is below 1.
    """
    train = image_set.part("train")
    val = image_set.part("val")
    if shots is None:
        _check_each_trained(image_set)
        return ShotDraw.of(image_set, train, of_other_groups(val, train))
    if shots < 1:
        raise InvalidInput("At least 1 shot per class", f"found {shots}", "Choose 1, 2, 4, 8 or 16, or all images.")
    _check_enough(image_set, shots)
    stream = random.Random(seed)
    drawn = _draw(train, shots, stream)
    chosen = {id(image) for image in drawn}
    candidates = val or tuple(image for image in train if id(image) not in chosen)
    few = min(shots, MOST_VALIDATION_SHOTS)
    return ShotDraw.of(image_set, drawn, _draw(of_other_groups(candidates, drawn), few, stream))


def _draw(images: Iterable[LabelledImage], count: int, stream: random.Random) -> tuple[LabelledImage, ...]:
    """`count` images of each class (all, if there are fewer); classes in order of first appearance."""
    by_label: dict[int, list[LabelledImage]] = {}
    for image in images:
        by_label.setdefault(image.label, []).append(image)
    return tuple(i for items in by_label.values() for i in _sample(items, count, stream))


def _sample(items: list[LabelledImage], count: int, stream: random.Random) -> list[LabelledImage]:
    return stream.sample(items, count) if len(items) >= count else items


def of_other_groups(images: Sequence[LabelledImage], drawn: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Images that share neither group nor bytes with the drawn ones."""
    groups = {image.group for image in drawn if image.group is not None}
    contents = {image.sha256 for image in drawn}
    return [i for i in images if i.group not in groups and i.sha256 not in contents]


def _check_each_trained(image_set: ImageSet) -> None:
    absent = [name for name, parts in image_set.counts().items() if not parts["train"]]
    if absent:
        raise TooFewImages(
            "Every class needs training images", f"none for {', '.join(repr(n) for n in absent)}", "Add images."
        )


def _check_enough(image_set: ImageSet, shots: int) -> None:
    counts = {name: parts["train"] for name, parts in image_set.counts().items()}
    short = {name: count for name, count in counts.items() if count < shots}
    if not short:
        return
    shown = ", ".join(f"'{name}' has {count}" for name, count in short.items())
    possible = [k for k in (1, 2, 4, 8, 16, 32) if k <= min(counts.values())]
    remedy = (
        f"Choose {possible[-1]} shot{'s' if possible[-1] > 1 else ''} or add images." if possible else "Add images."
    )
    plural, images = ("s", "images") if shots > 1 else ("", "image")
    raise TooFewImages(
        f"{shots} shot{plural} per class need{'' if plural else 's'} {shots} training {images} in each class",
        shown,
        remedy,
    )
