"""Images, pixels or patients that stand on both sides of a split, and pictures that look almost alike."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from core.errors import UnreadableImage
from core.images.decode import read_bounded
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Problem
from core.images.limits import Limits
from core.images.signature import Signature, flush_signatures, map_in_threads, sign, sign_known

MOST_DIFFERENT_BITS = 2
_BLOCK = 512


def find_leaks(image_set: ImageSet) -> list[Problem]:
    """What makes a test result worthless: one problem for each test image or group that training has seen.

    Kinds: `same_bytes` and `same_pixels` (an image in train or val and in test), `same_group` (a patient in both),
    and `two_classes` (the same bytes under two classes, wherever). Decodes images not decoded before in this process.
    """
    seen = [image for image in image_set.images if image.part != "test"]
    test = image_set.part("test")
    return [
        *_shared(seen, test, lambda i: i.sha256, "same_bytes", "the same file"),
        *_shared_pixels(seen, test),
        *_shared_groups(seen, test),
        *_two_classes(image_set),
    ]


def find_near_duplicates(image_set: ImageSet) -> list[Problem]:
    """Test images that look almost like a training or validation image: a warning, not a proof.

    Compares 64-bit difference hashes; at most 2 different bits count as near. Equal pixels are left to `find_leaks`.
    Flat pictures (all bits equal) say nothing and are skipped. One problem per test image.
    """
    seen = [image for image in image_set.images if image.part != "test"]
    test = list(image_set.part("test"))
    signatures = signatures_of([*seen, *test])
    problems = []
    for image, other, bits in near_neighbours(seen, test, signatures):
        problems.append(
            Problem(
                image.name,
                "near_duplicate",
                "a test picture unlike any in training",
                f"looks almost like '{other.name}' in {other.part} ({bits} of 64 bits differ)",
            )
        )
    return problems


def _shared(
    seen: Sequence[LabelledImage],
    test: Sequence[LabelledImage],
    key: Callable[[LabelledImage], str | None],
    kind: str,
    what: str,
) -> Iterator[Problem]:
    first: dict[str, LabelledImage] = {}
    for image in seen:
        value = key(image)
        if value is not None:
            first.setdefault(value, image)
    for image in test:
        value = key(image)
        if value is not None and value in first:
            other = first[value]
            yield Problem(image.name, kind, "each image in one part", f"{what} as '{other.name}' in {other.part}")


def _shared_pixels(seen: Sequence[LabelledImage], test: Sequence[LabelledImage]) -> Iterator[Problem]:
    """Equal pixels in different files, such as a PNG and its TIFF copy. Two black pictures need not be one."""
    signatures = signatures_of([*seen, *test])
    seen_bytes = {image.sha256 for image in seen}
    others = [i for i in test if i.sha256 not in seen_bytes and not signatures[i.sha256].is_flat]
    yield from _shared(seen, others, lambda i: signatures[i.sha256].pixels, "same_pixels", "the same pixels")


def _shared_groups(seen: Sequence[LabelledImage], test: Sequence[LabelledImage]) -> Iterator[Problem]:
    """One problem for each group in both parts, told at its first test image."""
    members: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in [*seen, *test]:
        if image.group is not None:
            members[image.group].append(image)
    for group, images in members.items():
        tested = [image for image in images if image.part == "test"]
        learned = [image for image in images if image.part != "test"]
        if tested and learned:
            parts = " and ".join(sorted({image.part for image in learned}))
            yield Problem(
                tested[0].name,
                "same_group",
                "each group (patient) in one part",
                f"{len(tested)} {'images' if len(tested) > 1 else 'image'} of group '{group}' in test and "
                f"{len(learned)} in {parts}, such as '{learned[0].name}'",
            )


def contents_in_two_classes(image_set: ImageSet) -> int:
    """How many contents (bytes) stand under more than one class."""
    labels: dict[str, set[int]] = defaultdict(set)
    for image in image_set.images:
        labels[image.sha256].add(image.label)
    return sum(len(found) > 1 for found in labels.values())


def _two_classes(image_set: ImageSet) -> Iterator[Problem]:
    by_bytes: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in image_set.images:
        by_bytes[image.sha256].append(image)
    for images in by_bytes.values():
        for image in images[1:]:
            if image.label != images[0].label:
                yield Problem(
                    image.name,
                    "two_classes",
                    f"one class for each image, here '{image_set.classes[image.label]}'",
                    f"the same file as '{images[0].name}' in class '{image_set.classes[images[0].label]}'",
                )


def signatures_of(images: Sequence[LabelledImage]) -> dict[str, Signature]:
    """Signature by content hash. Decodes images not decoded before."""
    first = {image.sha256: image for image in images}
    known = {sha256: found for sha256 in first if (found := sign_known(sha256)) is not None}
    missing = [image for sha256, image in first.items() if sha256 not in known]
    if missing:
        made = dict(zip((i.sha256 for i in missing), map_in_threads(_signature, missing), strict=True))
        flush_signatures()
        known |= made
    return {sha256: known[sha256] for sha256 in first}


def _signature(image: LabelledImage) -> Signature:
    limits = Limits()
    content = read_bounded(image.path, limits)
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise UnreadableImage(
            f"'{image.name}' as it was when it was read", "found other content", "Read the image set again."
        )
    return sign(content, image.sha256, limits)


def _structured(images: Sequence[LabelledImage], signatures: dict[str, Signature]) -> list[LabelledImage]:
    return [i for i in images if 4 <= signatures[i.sha256].difference.bit_count() <= 60]


def near_neighbours(
    seen: Sequence[LabelledImage], test: Sequence[LabelledImage], signatures: dict[str, Signature]
) -> Iterator[tuple[LabelledImage, LabelledImage, int]]:
    """For each test image with a near neighbour: (test image, nearest seen image, different bits).

    Flat pictures say nothing and are skipped; equal pixels are no neighbours but copies.
    """
    seen, test = _structured(seen, signatures), _structured(test, signatures)
    if not seen or not test:
        return
    train_bits = np.array([signatures[i.sha256].difference for i in seen], dtype=np.uint64)
    train_pixels = np.array([signatures[i.sha256].pixels for i in seen])
    for start in range(0, len(test), _BLOCK):
        block = test[start : start + _BLOCK]
        bits = np.array([signatures[i.sha256].difference for i in block], dtype=np.uint64)
        distance = np.bitwise_count(bits[:, None] ^ train_bits[None, :])
        rows, columns = np.nonzero(distance <= MOST_DIFFERENT_BITS)
        nearest: dict[int, tuple[int, int]] = {}
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if train_pixels[column] != signatures[block[row].sha256].pixels:
                nearest[row] = min(nearest.get(row, (65, 0)), (int(distance[row, column]), column))
        for row, (different, column) in nearest.items():
            yield block[row], seen[column], different
