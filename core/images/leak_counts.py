"""How many test images training has seen, by kind. Counted for every run, whether leakage was allowed or not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.leakage import contents_in_two_classes, near_neighbours, signatures_of
from core.images.name_families import name_families


@dataclass(frozen=True)
class LeakCount:
    """Test images of one kind.

    test_images: concerned by any image outside the test part. of: of how many; for groups, those whose group is known.
    by_drawn: concerned by an image that this run was trained, tuned or calibrated on.
    """

    test_images: int
    of: int
    by_drawn: int


@dataclass(frozen=True)
class Leakage:
    """What stands on both sides of a split.

    exact_copies: the same bytes or pixels. near_duplicates: others that look almost the same. shared_groups: of a group
    (patient) that is on both sides, `groups` of them. shared_names: without known group, whose file names look as if
    they were of one patient or photograph with an image of the same class outside the test part. two_classes: contents
    that stand under two classes, anywhere in the set. allowed: whether the run was told to train all the same.
    """

    exact_copies: LeakCount
    near_duplicates: LeakCount
    shared_groups: LeakCount
    shared_names: LeakCount
    groups: int
    two_classes: int
    allowed: bool

    @property
    def found(self) -> bool:
        """Whether something makes the metrics worthless. What only looks alike is a warning, not a proof."""
        return bool(self.exact_copies.test_images or self.shared_groups.test_images or self.two_classes)

    @property
    def doubts(self) -> int:
        """Test images that look like others, or are named like them, without proof."""
        return self.near_duplicates.test_images + self.shared_names.test_images

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with `found`, `doubts` and the sentence."""
        return asdict(self) | {"found": self.found, "doubts": self.doubts, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The counts in words, those that are 0 left out."""
        said = list(self._said())
        known = "" if self.shared_groups.of else " Groups (patients) are unknown."
        if not said:
            start = "Leakage was allowed, and none was found" if self.allowed else "No leakage was found"
            return f"{start}: no test image is a copy or near duplicate of another part's image.{known}"
        start = "Leakage was allowed: " if self.allowed else ""
        end = " The metrics are too good to be true." if self.found else " Look whether they show the same."
        text = f"{start}{'; '.join(said)}."
        return f"{text[0].upper()}{text[1:]}{end}{known}"

    def _said(self) -> Iterator[str]:
        copies, near, shared = self.exact_copies, self.near_duplicates, self.shared_groups
        named = self.shared_names
        if copies.test_images:
            what = "an exact copy of an image" if copies.test_images == 1 else "exact copies of images"
            yield f"{_share(copies)} {what} outside the test part{_drawn(copies)}"
        if shared.test_images:
            groups = "1 group (patient) that is" if self.groups == 1 else f"{self.groups} groups (patients) that are"
            yield f"{_share(shared)} of {groups} on both sides{_drawn(shared)}"
        if self.two_classes:
            yield f"{self.two_classes} image{' stands' if self.two_classes == 1 else 's stand'} under two classes"
        if near.test_images:
            yield f"{_share(near)} almost the same as an image outside the test part{_drawn(near)}"
        if named.test_images:
            like = "like one patient's or photograph's images outside the test part"
            yield f"{_share(named)} named {like}{_drawn(named)}"


def count_leakage(image_set: ImageSet, drawn: Collection[LabelledImage], allowed: bool) -> Leakage:
    """The counts of a set for a run that uses the `drawn` images. Decodes images not decoded before in this process."""
    return LeakSearch(image_set).count(drawn, allowed)


class LeakSearch:
    """What stands on both sides of a set, searched once, to be counted for any number of draws.

    Decodes images not decoded before in this process.
    """

    def __init__(self, image_set: ImageSet) -> None:
        self._set = image_set
        self._seen = [image for image in image_set.images if image.part != "test"]
        self._test = image_set.part("test")
        self._signatures = signatures_of([*self._seen, *self._test])
        self._copies = self._copied(self._seen)
        self._near = self._near_ones(self._seen)
        # an image that is near none of all images is near none of those that were drawn
        self._suspects = [image for image in self._test if image in self._near]
        self._shared = _of_shared_groups(self._seen, self._test)
        self._families = _families([*self._seen, *self._test])
        self._named = _of_shared_names(self._seen, self._test, self._families)
        self._two_classes = contents_in_two_classes(image_set)

    def count(self, drawn: Collection[LabelledImage], allowed: bool) -> Leakage:
        """The counts for a run that uses the `drawn` images."""
        used = set(drawn)
        side = [image for image in self._seen if image in used]
        n, known = len(self._test), sum(image.group is not None for image in self._test)
        near = {image for image, *_ in near_neighbours(side, self._suspects, self._signatures)}
        named = _of_shared_names(side, self._test, self._families)
        return Leakage(
            LeakCount(len(self._copies), n, len(self._copied(side))),
            LeakCount(len(self._near), n, len(near)),
            LeakCount(len(self._shared), known, len(_of_shared_groups(side, self._test))),
            LeakCount(len(self._named), n, len(named)),
            len({image.group for image in self._shared}),
            self._two_classes,
            allowed,
        )

    def _copied(self, seen: Sequence[LabelledImage]) -> set[LabelledImage]:
        pixels = {self._signatures[image.sha256].pixels for image in seen}
        return {image for image in self._test if self._signatures[image.sha256].pixels in pixels}

    def _near_ones(self, seen: Sequence[LabelledImage]) -> set[LabelledImage]:
        rest = [image for image in self._test if image not in self._copies]
        return {image for image, *_ in near_neighbours(seen, rest, self._signatures)}


def _of_shared_groups(seen: Sequence[LabelledImage], test: Sequence[LabelledImage]) -> set[LabelledImage]:
    groups = {image.group for image in seen if image.group is not None}
    return {image for image in test if image.group in groups}


def _families(images: Sequence[LabelledImage]) -> dict[LabelledImage, tuple[int, str]]:
    """Class and family of images whose group is unknown and whose names tell families; see `name_families`."""
    loose = [image for image in images if image.group is None]
    families = name_families([PurePosixPath(image.name).name for image in loose])
    return {image: (image.label, family) for image, family in zip(loose, families, strict=True) if family is not None}


def _of_shared_names(
    seen: Sequence[LabelledImage], test: Sequence[LabelledImage], families: dict[LabelledImage, tuple[int, str]]
) -> set[LabelledImage]:
    known = {families[image] for image in seen if image in families}
    return {image for image in test if families.get(image) in known}


def _share(count: LeakCount) -> str:
    verb = "is" if count.test_images == 1 else "are"
    return f"{count.test_images} of {count.of} test images {verb}"


def _drawn(count: LeakCount) -> str:
    if count.by_drawn == count.test_images:
        return ", all by images that this run used"
    return f" ({count.by_drawn or 'none'} by images that this run used)"
