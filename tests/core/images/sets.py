"""Image sets made without files, for tests of draws, splits and leaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, digest

Line = tuple[int, Any, Any]


def made_up(lines: Iterable[Line], classes: Sequence[str] | None = None) -> ImageSet:
    """One image for each (label, part, group), every one with bytes of its own."""
    images = tuple(
        LabelledImage(Path(f"{n}.png"), f"{n}.png", label, part, digest([str(n)]), group)
        for n, (label, part, group) in enumerate(lines)
    )
    names = classes or [f"class {k}" for k in range(1 + max(i.label for i in images))]
    return ImageSet("made up", tuple(names), images)


def note_compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """How many fingerprints of test and other images are compared with each other, a pair of numbers for each step."""
    compared: list[tuple[int, ...]] = []
    count = np.bitwise_count

    def noted(bits: np.ndarray) -> np.ndarray:
        compared.append(bits.shape)
        return count(bits)

    monkeypatch.setattr(np, "bitwise_count", noted)
    return compared
