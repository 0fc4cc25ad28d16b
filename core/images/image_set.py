"""The image set: labelled images, their parts, and the fingerprint that names exactly this data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from core.errors import ClassMismatch
from core.images.labelled_image import PARTS, LabelledImage, Part, Problem, digest


@dataclass(frozen=True)
class ImageSet:
    """Labelled images in up to three parts. The order of `classes` is the order of labels everywhere.

    problems: files that were refused, each with its reason. notes: decisions taken while reading (such as a held-out
    test part), in sentences.
    """

    name: str
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    modality: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def part(self, part: Part) -> tuple[LabelledImage, ...]:
        """The images of one part, in file order."""
        return tuple(image for image in self.images if image.part == part)

    def counts(self) -> dict[str, dict[str, int]]:
        """Images per class and part: {class: {"train": n, "val": n, "test": n}}."""
        table: dict[str, dict[str, int]] = {name: dict.fromkeys(PARTS, 0) for name in self.classes}
        for image in self.images:
            table[self.classes[image.label]][image.part] += 1
        return table

    def of_classes(self, names: Sequence[str]) -> ImageSet:
        """The images of some classes, their labels counted in the order of `names`. Raises ClassMismatch."""
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise ClassMismatch(f"Classes among {', '.join(self.classes)}", f"found {', '.join(map(repr, unknown))}")
        place = {self.classes.index(name): index for index, name in enumerate(names)}
        images = tuple(replace(i, label=place[i.label]) for i in self.images if i.label in place)
        return replace(self, classes=tuple(names), images=images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes and every (image bytes, class, part, group), whatever the file names."""
        rows = sorted(f"{i.sha256}|{self.classes[i.label]}|{i.part}|{i.group or ''}" for i in self.images)
        return digest([*self.classes, "--", *rows])

    @classmethod
    def read(cls, path: str | Path, name: str | None = None, **options: object) -> ImageSet:
        """Read a folder, zip, CSV manifest or split file; see `core.images.reading.read_path`."""
        from core.images.reading import read_path

        return cls(*read_path(path, name, **options))  # type: ignore[arg-type]
