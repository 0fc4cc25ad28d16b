"""What runs said of single images, and their metrics taken apart by image or patient, for many rows at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from core.errors import InvalidInput
from core.evaluation.pseudo_values import NEED_PROBABILITIES, Measured, Units, measure_rows, units_of
from core.evaluation.stated import Stated

MOST_NUMBERS = 4_000_000
"""Numbers of single images and classes that are worked on together."""


@dataclass(frozen=True, eq=False)
class RunAnswers:
    """What a run said of each test image, in the order of the images' names.

    images, units: (n,); units: each image's group (patient), or the image itself where none is known. classes: of
    labels and answers, by name. labels, predicted: (n,), places in `classes`. stated: (n, classes), probabilities; None
    where they were not looked up. found_units: what varies when patients do.
    """

    images: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    stated: np.ndarray | None
    found_units: Units

    def among(self, classes: tuple[str, ...]) -> RunAnswers:
        """The same with places in a longer list of classes."""
        if classes == self.classes:
            return self
        place = np.array([classes.index(name) for name in self.classes])
        stated = None
        if self.stated is not None:
            stated = np.zeros((len(self.images), len(classes)))
            stated[:, place] = self.stated
        return replace(self, classes=classes, labels=place[self.labels], predicted=place[self.predicted], stated=stated)


def run_answers(
    images: Sequence[str],
    units: Sequence[str],
    labels: Sequence[str],
    predicted: Sequence[str],
    stated: Stated | None = None,
) -> RunAnswers:
    """A run's answers in any order, one value an image. stated: probabilities, a row an image.

    Runs that are given the same `images` and `units` share what is found out about them.
    """
    shared = _in_order(tuple(images), tuple(units))
    classes = tuple(sorted({*labels, *predicted, *(stated.classes if stated else ())}))
    true, told = _places(tuple(labels), classes), _places(tuple(predicted), classes)
    columns = None if stated is None else stated.among(classes)[shared.order]
    return RunAnswers(
        shared.images, shared.units, classes, true[shared.order], told[shared.order], columns, shared.found_units
    )


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...], classes: tuple[str, ...]) -> np.ndarray:
    """The place of each name among the classes; labels are the same for all runs of an image set."""
    place = {name: at for at, name in enumerate(classes)}
    return np.fromiter(map(place.__getitem__, names), np.int64, len(names))


class _Shared(NamedTuple):
    """What runs on the same images have in common."""

    order: np.ndarray
    images: tuple[str, ...]
    units: tuple[str, ...]
    found_units: Units


@lru_cache(maxsize=64)
def _in_order(images: tuple[str, ...], units: tuple[str, ...]) -> _Shared:
    order = sorted(range(len(images)), key=images.__getitem__)
    names, of_image = tuple(images[at] for at in order), tuple(units[at] for at in order)
    return _Shared(np.array(order, dtype=np.int64), names, of_image, units_of(len(names), of_image, names))


Answers = Mapping[str, RunAnswers]
"""By run id."""


class MeasuredRuns:
    """Metrics of rows of runs, each measured once however often it is asked for.

    A row is given as the ids of its runs, which have to be among the answers and on the same images.
    """

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._known: dict[tuple[str, tuple[str, ...]], Measured] = {}

    def of(self, run_ids: Sequence[str], metric: str = "balanced_accuracy") -> Measured:
        """A metric of one row. Raises InvalidInput for one of the probabilities where these were not looked up."""
        return self.of_rows([run_ids], metric)[0]

    def of_rows(self, rows: Sequence[Sequence[str]], metric: str) -> list[Measured]:
        """A metric of several rows; those on the same images with as many runs are worked on together."""
        wanted = [tuple(run_ids) for run_ids in rows]
        for some in self._alike([row for row in dict.fromkeys(wanted) if (metric, row) not in self._known]):
            found = measured_rows([[self.answers[run_id] for run_id in row] for row in some], metric)
            self._known.update(zip(((metric, row) for row in some), found, strict=True))
        return [self._known[metric, row] for row in wanted]

    def _alike(self, rows: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
        alike: dict[Hashable, list[tuple[str, ...]]] = defaultdict(list)
        for row in rows:
            first = self.answers[row[0]]
            alike[first.images, first.units, first.classes, len(row)].append(row)
        for own in alike.values():
            first = self.answers[own[0][0]]
            most = max(1, MOST_NUMBERS // (len(own[0]) * len(first.images) * len(first.classes)))
            yield from (own[at : at + most] for at in range(0, len(own), most))


def measured_rows(rows: Sequence[Sequence[RunAnswers]], metric: str = "balanced_accuracy") -> list[Measured]:
    """A metric of each row of runs, taken apart by unit. rows: of equal length, all on the same images.

    Raises InvalidInput for a metric of the probabilities where these were not looked up.
    """
    first = rows[0][0]
    classes = tuple(sorted({name for runs in rows for run in runs for name in run.classes}))
    same = [[run.among(classes) for run in runs] for runs in rows]
    stated = None
    if metric in NEED_PROBABILITIES:
        if any(run.stated is None for runs in same for run in runs):
            raise InvalidInput(f"'{metric}' needs probabilities", "found predicted classes only", "Look them up.")
        stated = np.array([[run.stated for run in runs] for runs in same])
    return measure_rows(
        metric,
        same[0][0].labels,
        np.array([[run.predicted for run in runs] for runs in same]),
        stated,
        first.found_units,
        first.images,
        classes=classes,
    )
