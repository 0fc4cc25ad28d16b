"""Images of a set with their lesion masks, ready for the tower."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.errors import InvalidInput
from core.explain.frame import SeenMask, seen_mask
from core.images.decode import opened_picture
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Part
from core.images.masks import mask_path

LEAST_IN_VIEW = 0.5
CALIBRATION_IMAGES = 100
Item = TypeVar("Item")


@dataclass(frozen=True)
class BatchImage:
    """name: unique in its set. group: patient, lesion or slide, None where unknown."""

    name: str
    path: Path
    class_name: str
    group: str | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class ReadImage:
    """pixels: (3, size, size). lesion: part of each cell that is marked (cells,), None for an image without a mask."""

    image: BatchImage
    pixels: Tensor
    seen: SeenMask | None

    @property
    def lesion(self) -> np.ndarray | None:
        """Coverage of the cells, row by row."""
        return None if self.seen is None else self.seen.cells.ravel()


def images_of_part(images: ImageSet, part: Part) -> list[BatchImage]:
    """The images of one part with their masks, in the set's order."""
    return [batch_image(images, image) for image in images.part(part)]


def calibration_images(images: ImageSet, tested: Part, n: int = CALIBRATION_IMAGES) -> list[BatchImage]:
    """Up to n images outside the tested part, evenly over the set; none of a group that is tested."""
    groups = {image.group for image in images.part(tested) if image.group is not None}
    tested_files = {image.sha256 for image in images.part(tested)}
    others = [
        image
        for image in images.images
        if image.part != tested and image.group not in groups and image.sha256 not in tested_files
    ]
    return [batch_image(images, image) for image in evenly(others, n)]


def evenly(items: Sequence[Item], n: int) -> list[Item]:
    """Up to n of them, evenly over their order."""
    if not items:
        return []
    places = np.unique(np.linspace(0, len(items) - 1, min(n, len(items))).round().astype(int))
    return [items[place] for place in places.tolist()]


def batch_image(images: ImageSet, image: LabelledImage) -> BatchImage:
    """One image of a set."""
    return BatchImage(image.name, image.path, images.classes[image.label], image.group, mask_path(image))


def read_image(backbone: Backbone, image: BatchImage) -> ReadImage | str:
    """The image as the tower takes it, or the reason why it is left out of the set."""
    try:
        with opened_picture(image.path) as picture:
            shown = picture.rgb()
            pixels, size = backbone.preprocess(shown), shown.size
        if image.mask is None:
            return ReadImage(image, pixels, None)
        with opened_picture(image.mask) as picture:
            seen = seen_mask(picture.marked(), size, backbone.preprocessing, backbone.patch_grid)
    except InvalidInput as error:
        return f"cannot be read: {error.sentence}"
    if seen.in_view is None:
        return ReadImage(image, pixels, None)
    if seen.in_view < LEAST_IN_VIEW:
        return (
            f"{seen.in_view:.0%} of its {seen.marked_px} marked pixels lie in the part the model sees, less than "
            f"{LEAST_IN_VIEW:.0%}"
        )
    return ReadImage(image, pixels, seen)


def pixel_batches(backbone: Backbone, images: Sequence[BatchImage], size: int) -> Iterator[Tensor]:
    """Model input (images, 3, size, size) in batches, images that cannot be read left out."""
    for start in range(0, len(images), size):
        read = [read_image(backbone, image) for image in _without_masks(images[start : start + size])]
        pixels = [each.pixels for each in read if isinstance(each, ReadImage)]
        if pixels:
            yield torch.stack(pixels)


def _without_masks(images: Iterable[BatchImage]) -> Iterator[BatchImage]:
    return (BatchImage(each.name, each.path, each.class_name, each.group) for each in images)
