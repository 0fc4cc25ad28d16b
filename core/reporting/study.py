"""All that is recorded of a study: what a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from core.images.image_set import ImageSet

Record = Mapping[str, Any]


@dataclass(frozen=True)
class StudySet:
    """An image set of the study. images: None once it was deleted. is_target: measured on, never trained on."""

    name: str
    fingerprint: str
    images: ImageSet | None
    source: str | None = None
    is_target: bool = False


@dataclass(frozen=True)
class Study:
    """An experiment, or a run alone.

    kind: "experiment" or "run". runs: finished ones in full, with method_title and fingerprint. cells: of the
    experiment; empty for a run. found: their comparison, as `compare_runs` gives it with details. rows: of the
    experiment, see `core.experiments.rows`. spec: of the experiment. settings: the text that gives it again. drawn:
    {run id: {role: SHA-256 of its images}}. galleries: see `core.reporting.failures`. cards: {method: its card}.
    explained: how many explanations the models have. audited: entries of the audit trail about the runs.
    """

    name: str
    kind: str
    runs: Sequence[Record]
    found: Record
    settings: str
    sets: Sequence[StudySet] = ()
    cells: Sequence[Record] = ()
    rows: Sequence[Record] = ()
    spec: Record | None = None
    drawn: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    galleries: Sequence[Record] = ()
    cards: Mapping[str, Record] = field(default_factory=dict)
    explained: int = 0
    audited: int = 0

    @property
    def groups(self) -> Sequence[Record]:
        """Runs that are comparable, put together."""
        return tuple(self.found["groups"])

    @cached_property
    def leading(self) -> list[tuple[Record, Record]]:
        """(group, row) of the row that is looked at closely: on each image set the best of those with most shots."""
        best: dict[str, tuple[Record, Record]] = {}
        for group in self.groups:
            row = leading_row(group["rows"])
            name = group["image_set"]["name"]
            if row and (name not in best or _amount(group) > _amount(best[name][0])):
                best[name] = (group, row)
        return list(best.values())


def leading_row(rows: Sequence[Record]) -> Record | None:
    """The best row that learned something, else the best; rows are sorted by their mean."""
    known = [row for row in rows if not row["missing"]]
    return next((row for row in known if not row["is_baseline"]), known[0] if known else None)


def amount_words(place: Record) -> str:
    """How much was trained on."""
    if place.get("share") is not None:
        return f"{place['share']:.0%} of the labels"
    return "all training images" if place["shots"] is None else f"{place['shots']} shots"


def _amount(group: Record) -> tuple[float, float]:
    return (group.get("share") or 0.0, float("inf") if group["shots"] is None else group["shots"])
