"""Lesion masks that lie beside images: never training images, kept to score maps against.

An image `a/b.png` may have its mask at `masks/a/b.png` (any allowed suffix), or beside it as `a/b_mask.png` (also
`b_mask_1.png` and so on). In a store the mask of `<sha256>.png` is `<sha256>.mask.png`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import Image, ImageChops

from core.images.decode import SUFFIXES, opened_picture
from core.images.image_set import LabelledImage
from core.images.limits import Limits

MASKS_FOLDER = "masks"
_DEEPEST = 4
_BESIDE = re.compile(r"(?P<stem>.+)_mask(_[0-9]+)?")


def mask_path(image: LabelledImage | Path) -> Path | None:
    """Where the mask of an image lies, by the rules of this module, or None if it has none."""
    path = image.path if isinstance(image, LabelledImage) else image
    candidates = [path.with_suffix(".mask.png"), *(path.with_name(f"{path.stem}_mask{s}") for s in SUFFIXES)]
    for depth, folder in enumerate(path.parents):
        if depth > _DEEPEST:
            break
        if (folder / MASKS_FOLDER).is_dir():
            twin = folder / MASKS_FOLDER / path.relative_to(folder)
            candidates += [twin.with_suffix(suffix) for suffix in (path.suffix, *SUFFIXES)]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def pair_masks(names: Iterable[str]) -> dict[str, list[str]]:
    """{image name: [mask names]} among image names; everything below `masks/` is a mask or nothing."""
    all_names = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
    by_stem: dict[str, list[str]] = {}
    for name in all_names:
        by_stem.setdefault(_stem(name), []).append(name)
    pairs: dict[str, list[str]] = {}
    for name in all_names:
        for image in by_stem.get(_image_stem(name), []):
            if image != name:
                pairs.setdefault(image, []).append(name)
    return pairs


def is_below_masks(name: str) -> bool:
    """Whether a name lies in the `masks` folder."""
    return PurePosixPath(name).parts[0] == MASKS_FOLDER


def join_masks(contents: list[bytes], size: tuple[int, int], limits: Limits) -> bytes | None:
    """One PNG mask, white where any of the given masks is not black; None if a size differs from the image's.

    size: (width, height) of the image. Raises UnreadableImage for a mask that cannot be decoded.
    """
    joined = Image.new("L", size)
    for content in contents:
        with opened_picture(content, limits) as picture:
            mask = picture.marked()
        if mask.size != size:
            return None
        joined = ImageChops.lighter(joined, mask)
    file = io.BytesIO()
    joined.save(file, "PNG")
    return file.getvalue()


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _image_stem(name: str) -> str:
    """The stem of the image that a file of this name would be the mask of; "" if it looks like none."""
    stem = PurePosixPath(_stem(name))
    if is_below_masks(name):
        return str(stem.relative_to(MASKS_FOLDER))
    beside = _BESIDE.fullmatch(stem.name)
    return str(stem.with_name(beside["stem"])) if beside else ""
