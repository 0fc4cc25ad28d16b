"""Finished cells, and the lines they make: all seeds of one setting at one place, measured together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.evaluation.harmonic_mean import harmonic_mean, harmonic_measured, harmonic_two_part
from core.evaluation.pseudo_values import Measured, measure
from core.evaluation.stated import Stated, stated_of
from core.evaluation.two_part import TwoPart, of_measured
from core.experiments.protocols import BASE, NOVEL
from core.experiments.spec import ExperimentSpec

Key = tuple[str, int | None, float | None]
"""What is compared with each other: image set, shots, share."""


@dataclass(frozen=True)
class Answers:
    """What a cell said of one part. labels, probabilities: (n,) and (n, classes). groups: patients, None if unknown."""

    images: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    groups: tuple[str | None, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """A finished cell. line: label of the line. record: as it was sealed. parts: answers by part, the ranked first."""

    image_set: str
    line: str
    method: str
    shots: int | None
    share: float | None
    seed: int
    descriptions: str | None
    record: Mapping[str, Any]
    parts: Mapping[str, Answers]

    @property
    def place(self) -> Key:
        """Which cells it is compared with."""
        return self.image_set, self.shots, self.share

    @property
    def row(self) -> tuple[Any, ...]:
        """Which cells it is put together with: what differs in options or precision never shares a row."""
        return (*self.place, self.line, self.descriptions, self.record.get("precision"), self.record.get("backbone"))


def answers_of(rows: Sequence[Mapping[str, Any]]) -> Answers:
    """The answers in prediction rows, see `core.tuning.measure.Measurement.rows`. Labels are numbers of `classes`."""
    files, labels, stated = ([row[name] for row in rows] for name in ("file", "label", "probabilities"))
    return answers_of_columns(files, labels, stated_of(stated), [row.get("group") for row in rows])


def answers_of_columns(
    files: Sequence[str],
    labels: Sequence[str],
    stated: Stated,
    groups: Sequence[str | None],
) -> Answers:
    """The same of columns, one value an image each."""
    place = {name: index for index, name in enumerate(stated.classes)}
    return Answers(
        tuple(map(str, files)),
        np.array([place[label] for label in labels], dtype=np.int64),
        stated.table,
        tuple(groups),
        stated.classes,
    )


@dataclass(frozen=True)
class Line:
    """One row before it is compared. main: what is ranked; None where no part could be measured."""

    cells: tuple[Finished, ...]
    main: Measured | None
    parts: Mapping[str, Measured]
    found: TwoPart | None
    trivial: tuple[str, ...]


def names_of(lines: Mapping[tuple[Any, ...], Sequence[Finished]]) -> dict[tuple[Any, ...], str]:
    """A name for each row that shows in what it differs from the others of its place."""
    labels = Counter(own[0].line for own in lines.values())
    found = {}
    for key, own in lines.items():
        first, extra = own[0], []
        if labels[first.line] > 1:
            peers = [other[0] for other in lines.values() if other[0].line == first.line]
            if len({peer.descriptions for peer in peers}) > 1:
                extra.append(first.descriptions or "templates")
            extra += [
                str(first.record.get(name))
                for name in ("precision", "backbone")
                if len({peer.record.get(name) for peer in peers}) > 1
            ]
        found[key] = f"{first.line}{f' ({chr(44).join(extra)})' if extra else ''}"
    return found


def line_of(spec: ExperimentSpec, cells: Sequence[Finished], baseline: str) -> Line:
    ordered = tuple(sorted(cells, key=lambda cell: cell.seed))
    drawn = ordered[0].method != baseline
    # nothing is drawn by the baseline: its seeds are one measurement
    used = ordered if drawn else ordered[:1]
    parts = {part: _measured(spec.metric, used, part, drawn) for part in ordered[0].parts}
    trivial = tuple(part for part in (BASE, NOVEL) if part in parts and len(ordered[0].parts[part].classes) == 1)
    if spec.protocol != "base-to-novel":
        main = next(iter(parts.values()), None)
        return Line(ordered, main, parts, of_measured(main) if main else None, ())
    if NOVEL not in parts or trivial:
        return Line(ordered, None, parts, None, trivial)
    main = harmonic_measured(parts[BASE], parts[NOVEL])
    return Line(ordered, main, parts, harmonic_two_part(parts[BASE], parts[NOVEL]), ())


def _measured(metric: str, cells: Sequence[Finished], part: str, drawn: bool) -> Measured:
    first = cells[0].parts[part]
    return measure(
        metric,
        first.labels,
        probabilities=np.stack([cell.parts[part].probabilities for cell in cells]),
        groups=first.groups,
        images=first.images,
        seeds=[cell.seed for cell in cells],
        classes=first.classes,
        drawn=drawn,
    )


def ranked_values(line: Line) -> list[float]:
    """The ranked number of each seed, in the order of `seeds`; one for a line in which nothing is drawn."""
    if line.main is None:
        return []
    if NOVEL not in line.parts:
        return [float(value) for value in line.main.per_seed]
    return [float(value) for value in harmonic_mean(line.parts[BASE].per_seed, line.parts[NOVEL].per_seed)]
