"""Signs that a map, or what the model looks at, follows something else than the picture's subject.

A file in `core/explain/signatures` is a signature: one class with a statistic and a limit that is stated with it.
`python -m benchmarks.signature_rates` prints how often each fires on clean images, and on images with a planted fault.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from PIL import Image

import core.explain.signatures

MODALITY = {
    "name": "modality",
    "title": "A modality word that does not fit",
    "fires": None,
    "value": None,
    "limit": None,
    "sentence": "Cannot be checked with this backbone: asking it for the modality needs a balanced accuracy of 0.9 or "
    "more between modality words on at least 30 images of each, and no such test of it is known.",
}
"""fires None: not checked."""


@dataclass(frozen=True)
class Seen:
    """What signatures look at: view, the square that the model sees, and attention (rows, columns), shares of patches.

    attention is not-a-number where vectors replaced the patch; the others sum to 1.
    """

    view: Image.Image
    attention: np.ndarray

    @classmethod
    def of(cls, view: Image.Image, arrays: Mapping[str, np.ndarray]) -> Seen:
        """From an explanation's arrays."""
        cells = arrays["attention"]
        return cls(view, cells / np.nansum(cells))


class Signature(ABC):
    """One sign. A subclass lives alone in `core/explain/signatures/<name>.py`; `statistic` grows with the fault."""

    title: ClassVar[str]
    meaning: ClassVar[str]
    """What it means for the reader where it fires."""
    limit: ClassVar[float]
    """It fires above this value of its statistic."""
    statistic_words: ClassVar[str]

    @classmethod
    def name(cls) -> str:
        """That of its file."""
        return cls.__module__.rsplit(".", 1)[-1]

    @abstractmethod
    def statistic(self, seen: Seen) -> float | None:
        """The value, or None where there is nothing to measure (no text in the picture, say)."""

    def look(self, seen: Seen) -> dict[str, Any]:
        """JSON-ready: {name, title, fires, value, limit, sentence}."""
        value = self.statistic(seen)
        fires = value is not None and value > self.limit
        told = "none found" if value is None else f"{value:.2f}, limit {self.limit:g}"
        closing = self.meaning if fires else "Not seen here."
        sentence = f"{self.statistic_words}: {told}. {closing}"
        return {"name": self.name(), "title": self.title, "fires": fires, "value": value} | {
            "limit": self.limit,
            "sentence": sentence,
        }


@cache
def signatures() -> tuple[Signature, ...]:
    """All of them, by name."""
    found = []
    for module in sorted(each.name for each in pkgutil.iter_modules(core.explain.signatures.__path__)):
        loaded = importlib.import_module(f"core.explain.signatures.{module}")
        kinds = [kind for kind in vars(loaded).values() if isinstance(kind, type) and issubclass(kind, Signature)]
        found += [kind() for kind in kinds if kind.__module__ == loaded.__name__]
    return tuple(found)


def look_for_signatures(view: Image.Image, arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What each signature says of one explanation."""
    seen = Seen.of(view, arrays)
    return [*(each.look(seen) for each in signatures()), MODALITY]
