"""What an explainer is: a map of one class over the patches, from an open pass, and the scalar it explains.

A file in `core/explain/explainers` is an explainer. It defines its options, `Config`, and one class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import numpy as np

from core.errors import FlatMap
from core.explain.captured import TARGETS, Captured, Target
from core.tuning.option import Options, option

NEGLIGIBLE = 1e-12
"""A map whose largest absolute value is at most this marks nothing."""
Progress = Callable[[int, int], None]
"""Called with the passes done and their number; what it raises ends the work."""
Cost = Literal["last block", "last third", "all blocks", "many passes"]
"""The pass it was captured in and a way back through the last block, the last third or all; hundreds of passes."""

CLASS_SCORE = "the class's score, before the temperature; option target: minus the mean score, or minus the best other"


def no_progress(done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class ClassOptions(Options):
    """Options of an explainer that explains a class's score."""

    target: str = option(
        "logit",
        "What is explained: the class's score, the score minus the mean over classes, or minus the best other class's.",
        choices=TARGETS,
    )


@dataclass(frozen=True)
class MapSet:
    """Maps as they came, flat ones among them.

    maps: float64 (classes, rows, columns), signed, raw, in the explainer's unit, not-a-number where vectors replaced
    the patch. facts: further findings, JSON-ready; one value a class where they differ by class.
    """

    maps: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)


class Explainer(ABC):
    """One way of drawing a map. A subclass lives alone in `core/explain/explainers/<name>.py`."""

    title: ClassVar[str]
    summary: ClassVar[str]
    """One plain line for a clinician."""
    source: ClassVar[str]
    """Paper, and where the code read for it lies."""
    scalar: ClassVar[str] = CLASS_SCORE
    """What the map explains, in words."""
    unit: ClassVar[str]
    """What a cell's number is."""
    per_class: ClassVar[bool] = True
    """Whether the map depends on the class; otherwise every class gets the same one."""
    signed: ClassVar[bool] = True
    """Whether a cell can be below zero: evidence against the class."""
    cost: ClassVar[Cost] = "last block"
    Config: ClassVar[type[Options]] = ClassOptions

    def __init__(self, config: Options | None = None) -> None:
        self.config: Any = config or self.Config()

    @classmethod
    def with_options(cls, values: Mapping[str, Any] | None = None) -> Explainer:
        """Build from names and values, as typed. Raises InvalidOption for an unknown name or a value out of bounds."""
        return cls(cls.Config.from_values(values or {}, cls.name()))

    @classmethod
    def name(cls) -> str:
        """The name it is asked for by: that of its file."""
        return cls.__module__.rsplit(".", 1)[-1]

    @classmethod
    def on_demand(cls) -> bool:
        """Whether it takes so many passes that it runs only when asked for."""
        return cls.cost == "many passes"

    @property
    def target(self) -> Target:
        """The explained scalar, where the options name one."""
        return cast(Target, getattr(self.config, "target", "logit"))

    @abstractmethod
    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        """Maps of these classes, unchecked."""

    def maps(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> np.ndarray:
        """Maps (classes, rows, columns), signed and raw, not-a-number where vectors replaced the patch.

        Raises FlatMap, with the explainer's title, where one of them marks nothing.
        """
        found = self.map_set(captured, class_indices, progress).maps
        for index, grid_map in zip(class_indices, found, strict=True):
            self.check(grid_map, captured.classifier.classes[index])
        return found

    def check(self, grid_map: np.ndarray, class_name: str) -> None:
        """Raise FlatMap where a map (rows, columns) marks nothing."""
        if (reason := flat_reason(grid_map)) is not None:
            whose = f"{self.title} for '{class_name}'" if self.per_class else self.title
            raise FlatMap(
                f"A map has places that differ, and {whose} has none",
                reason,
                "Look at another class or another kind of map.",
            )

    @classmethod
    def card(cls) -> dict[str, Any]:
        """Its line in lists, JSON-ready."""
        return {
            "name": cls.name(),
            "title": cls.title,
            "summary": cls.summary,
            "source": cls.source,
            "scalar": cls.scalar,
            "unit": cls.unit,
            "per_class": cls.per_class,
            "signed": cls.signed,
            "cost": cls.cost,
            "on_demand": cls.on_demand(),
            "options": cls.Config.schema(),
        }


def flat_reason(grid_map: np.ndarray) -> str | None:
    """Why a map marks nothing, or None: no value but zero (up to 1e-12), all equal, or no patch at all."""
    there = grid_map[np.isfinite(grid_map)]
    if there.size == 0:
        return "no cell holds a number"
    largest = float(np.abs(there).max())
    if largest <= NEGLIGIBLE:
        return f"its largest value is {largest:.1e}"
    if float(np.ptp(there)) == 0:
        return f"all its values are {there.flat[0]:.3g}"
    return None


def for_every_class(grid_map: np.ndarray, class_indices: Sequence[int]) -> np.ndarray:
    """One map (rows, columns) for each class: (classes, rows, columns)."""
    return np.repeat(grid_map[None], len(class_indices), axis=0)
