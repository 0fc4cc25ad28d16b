"""One labelled image, what can be wrong with a file, and the words for parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
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
    they were read, or in the image store of a home folder; otherwise the mask of a stored image lies beside it.
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


def digest(lines: Iterable[str]) -> str:
    """SHA-256 of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
