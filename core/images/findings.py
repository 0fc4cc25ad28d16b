"""What a readable picture lacks: contrast, more than one grey, anything opaque. Such pictures are named, not refused.

A model answers for a black picture as for any other, often with great certainty; so each place that shows an answer
says beside it what is wrong with the picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.images.windowing import Windowing

CONSTANT, LOW_CONTRAST, TRANSPARENT, NOT_FINITE = "constant", "low_contrast", "transparent", "not_finite"
NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One thing that a picture lacks. problem: one of the words of this module."""

    problem: str
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        """For people who look at an answer."""
        return f"{self.found[:1].upper()}{self.found[1:]}: look at it before you trust an answer."

    def as_dict(self) -> dict[str, str]:
        """JSON form."""
        return {"problem": self.problem, "expected": self.expected, "found": self.found}

    def told(self) -> dict[str, str]:
        """JSON form with the sentence."""
        return self.as_dict() | {"sentence": self.sentence}


def shown(windowing: Windowing | None, findings: Iterable[Finding]) -> dict[str, Any]:
    """JSON form with sentences: windowing or None, findings."""
    return {"windowing": windowing.told() if windowing else None, "findings": [found.told() for found in findings]}


def faults_note(findings: Iterable[tuple[str, Iterable[Finding]]], n_images: int) -> list[str]:
    """One sentence a kind on the pictures of a set. findings: (file, its findings)."""
    files: dict[str, list[str]] = {}
    for name, found in findings:
        for each in found:
            files.setdefault(each.problem, []).append(name)
    return [
        f"{len(names)} of {n_images} images {_DOES[kind][len(names) != 1]}: {_some(names)}."
        for kind, names in sorted(files.items())
    ]


_DOES = {
    CONSTANT: ("is nearly constant or empty", "are nearly constant or empty"),
    LOW_CONTRAST: ("uses a small part of its grey range", "use a small part of their grey range"),
    TRANSPARENT: ("is fully transparent", "are fully transparent"),
    NOT_FINITE: ("holds NaN or infinity", "hold NaN or infinity"),
}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more
