"""Labelled images as evidence sees them: features, and averages in which classes and then groups weigh alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.errors import InvalidInput
from core.evaluation.pseudo_values import Units, units_of


@dataclass(frozen=True)
class EvidenceImages:
    """The images that sentences are held against.

    features: (images, width), unit length. labels: (images,), 0 to classes - 1. units: what varies when patients do.
    classes: how many there are; one without an image takes no part in averages.
    """

    features: np.ndarray
    labels: np.ndarray
    units: Units
    classes: int

    @classmethod
    def of(
        cls, features: np.ndarray, labels: Sequence[int], groups: Sequence[str | None], classes: int
    ) -> EvidenceImages:
        """From features (images, width), with a label and a group (or None) for each. Raises InvalidInput for none."""
        y = np.asarray(labels, dtype=np.int64)
        if not y.size:
            raise InvalidInput("Evidence needs images", "found none", "Choose at least 1 shot.")
        return cls(np.asarray(features, dtype=np.float64), y, units_of(y.size, groups), classes)

    def __len__(self) -> int:
        return self.labels.size

    @property
    def n_units(self) -> int:
        """How many groups, or images where no group is known."""
        return len(self.units.names)

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each (unit, class) that holds images: unit and class; and for each image its place among these."""
        key = self.units.of_image * self.classes + self.labels
        held, of_image = np.unique(key, return_inverse=True)
        return held // self.classes, held % self.classes, of_image

    @cached_property
    def units_per_class(self) -> np.ndarray:
        """How many units hold each class: (classes,)."""
        return np.bincount(self._cells[1], minlength=self.classes)

    @property
    def fewest_of_class(self) -> int:
        """How many units hold the class, of those with images, that the fewest do."""
        return int(self.units_per_class[self.units_per_class > 0].min())

    @cached_property
    def weights(self) -> np.ndarray:
        """What each image counts in a class average, (images,), summing to 1.

        Classes weigh alike, within a class the units, and within these the images.
        """
        _, label, of_image = self._cells
        present = int((self.units_per_class > 0).sum())
        of_cell = 1 / (present * self.units_per_class[label])
        return of_cell[of_image] / np.bincount(of_image)[of_image]

    def class_average(self, values: np.ndarray) -> np.ndarray:
        """Averages of values (..., images) with `weights`: (...,)."""
        return values @ self.weights

    def per_class(self, values: np.ndarray) -> np.ndarray:
        """Averages of values (..., images) within each class, units weighing alike: (..., classes), NaN for none."""
        one = np.zeros((len(self), self.classes))
        one[np.arange(len(self)), self.labels] = self.weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return (values @ one) / one.sum(axis=0)

    def pseudo_values(self, values: np.ndarray) -> np.ndarray:
        """Jackknife pseudo-values (..., units) of the class average of values (..., images).

        With G units e_g = G A - (G - 1) A(without g), shifted so that their mean is A. Infinite or not a number where
        one unit alone holds a class.
        """
        unit, label, of_image = self._cells
        share = np.zeros((len(self), unit.size))
        share[np.arange(len(self)), of_image] = (1 / np.bincount(of_image))[of_image]
        of_cell = values @ share
        means = self.per_class(values)[..., label]
        held = self.units_per_class[label]
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = (means - of_cell) / ((held - 1) * (self.units_per_class > 0).sum())
        to_unit = np.zeros((unit.size, self.n_units))
        to_unit[np.arange(unit.size), unit] = 1.0
        found = -(self.n_units - 1) * (moved @ to_unit)
        return found - found.mean(axis=-1, keepdims=True) + self.class_average(values)[..., None]

    def narrowed(self, keep: np.ndarray) -> EvidenceImages:
        """Some of the images. keep: (images,), bool."""
        names = self.units.names
        kept, of_image = np.unique(self.units.of_image[keep], return_inverse=True)
        units = Units(tuple(names[at] for at in kept), of_image, self.units.kind)
        return EvidenceImages(self.features[keep], self.labels[keep], units, self.classes)
