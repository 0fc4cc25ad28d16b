"""Stated probabilities of many images as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import methodcaller
from typing import NamedTuple

import numpy as np

_VALUES = methodcaller("values")


class Stated(NamedTuple):
    """table: (images, classes), probabilities. classes: names of its columns."""

    classes: tuple[str, ...]
    table: np.ndarray

    def among(self, classes: Sequence[str]) -> np.ndarray:
        """The table with these columns, among them all of its own; 0 for a class that was not asked about."""
        if tuple(classes) == self.classes:
            return self.table
        found = np.zeros((len(self.table), len(classes)))
        found[:, [classes.index(name) for name in self.classes]] = self.table
        return found


def stated_of(answers: Sequence[Mapping[str, float]]) -> Stated:
    """The table of probabilities by class of each image, 0 for a class that an answer does not name.

    An answer that could not be read, and so is no mapping, has no number at all.
    """
    # the kinds first: asking each answer what it is takes longer than reading it
    if not set(map(type, answers)) <= {dict} and not all(isinstance(each, Mapping) for each in answers):
        known = stated_of([each if isinstance(each, Mapping) else {} for each in answers])
        known.table[[not isinstance(each, Mapping) for each in answers]] = np.nan
        return known
    first = tuple(answers[0]) if answers else ()
    # no step of Python for each image: these are hundreds of thousands
    if set(map(len, answers)) <= {len(first)} and [*chain.from_iterable(answers)] == [*first] * len(answers):
        values = [*chain.from_iterable(map(_VALUES, answers))]
        return Stated(first, np.array(values, dtype=np.float64).reshape(len(answers), len(first)))
    classes = tuple(dict.fromkeys(name for each in answers for name in each))
    return Stated(classes, np.array([[each.get(name, 0.0) for name in classes] for each in answers], dtype=np.float64))
