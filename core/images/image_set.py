"""The image set: labelled images, their parts, and the fingerprint that names exactly this data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from core.images.findings import Finding
from core.images.windowing import Windowing

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file: which file, what is wrong, what was expected, what was found."""

    file: str
    problem: str
    expected: str
    found: str

    def as_dict(self) -> dict[str, str]:
        """JSON form."""
        return {"file": self.file, "problem": self.problem, "expected": self.expected, "found": self.found}


@dataclass(frozen=True)
class LabelledImage:
    """One image of a set.

    path: where its bytes lie now. name: the sender's relative name, for people. label: index into the set's classes.
    sha256: of the file's bytes. group: patient, lesion or slide; None where unknown. windowing: how deep values are
    shown, None for 8 bits. findings: what the picture lacks; None where nobody has looked. masks: files that lie where
    they were read; the mask of a stored image lies beside it.
    """

    path: Path
    name: str
    label: int
    part: Part
    sha256: str
    group: str | None = None
    width: int = 0
    height: int = 0
    windowing: Windowing | None = None
    findings: tuple[Finding, ...] | None = None
    masks: tuple[Path, ...] = ()


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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes and every (image bytes, class, part, group), whatever the file names."""
        rows = sorted(f"{i.sha256}|{self.classes[i.label]}|{i.part}|{i.group or ''}" for i in self.images)
        return digest([*self.classes, "--", *rows])

    @classmethod
    def read(cls, path: str | Path, name: str | None = None, **options: object) -> ImageSet:
        """Read a folder, zip, CSV manifest or split file; see `core.images.read.read_image_set`."""
        from core.images.read import read_image_set

        return read_image_set(Path(path), name=name, **options)  # type: ignore[arg-type]


def digest(lines: Iterable[str]) -> str:
    """SHA-256 of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
