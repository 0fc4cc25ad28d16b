"""Measuring a fitted method: on other images, among fewer classes, under other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ClassMismatch
from core.images.image_set import ImageSet
from core.tuning.drawing import draw_images
from core.tuning.feature_store import FeatureStore
from core.tuning.fitting import Fitted, Setup, fit_classifier
from core.tuning.measure import Measurement, measure
from tests.builders import tiny_backbone


def fitted(disc_set: ImageSet, home: Path, method: str = "linear_probe") -> Fitted:
    draw = draw_images(disc_set, 3, seed=1)
    return fit_classifier(
        Setup(method), tiny_backbone(), disc_set.classes, draw, seed=1, store=FeatureStore(), home=home
    )


def measured(disc_set: ImageSet, home: Path) -> Measurement:
    found = fitted(disc_set, home)
    images = disc_set.part("test")
    return measure(found.method, images, disc_set.classes, store=FeatureStore(), temperature=found.temperature)


def test_a_row_holds_its_case_its_group_and_names_of_both_kinds(disc_set: ImageSet, tmp_path: Path) -> None:
    rows = measured(disc_set, tmp_path).rows()
    assert [row["label"] for row in rows] == [disc_set.classes[i.label] for i in disc_set.part("test")]
    assert all(row["case"] == row["sha256"] and row["group"] is None for row in rows)
    assert all(list(row["probabilities"]) == list(disc_set.classes) for row in rows)
    assert all(row["predicted"] == max(row["probabilities"], key=row["probabilities"].get) for row in rows)


def test_among_two_classes_the_third_neither_takes_images_nor_probability(disc_set: ImageSet, tmp_path: Path) -> None:
    whole = measured(disc_set, tmp_path)
    two = whole.among(("no disc", "bright disc"))
    assert two.classes == ("no disc", "bright disc")
    assert len(two.images) == 12
    assert two.probabilities.shape == (12, 2)
    assert two.probabilities.sum(axis=1) == pytest.approx(np.ones(12))
    # odds between two classes do not depend on who else was asked about
    place = [row for row, image in enumerate(whole.images) if whole.of[image.label] != "dark disc"]
    odds = whole.probabilities[place, 2] / whole.probabilities[place, 0]
    assert two.probabilities[:, 0] / two.probabilities[:, 1] == pytest.approx(odds)
    assert two.labels.tolist() == [1] * 6 + [0] * 6


def test_a_class_that_was_never_asked_about_is_named(disc_set: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(ClassMismatch, match="'ring'"):
        measured(disc_set, tmp_path).among(("ring", "no disc"))


def test_images_of_a_class_the_method_does_not_know_are_refused(disc_set: ImageSet, tmp_path: Path) -> None:
    found = fitted(disc_set, tmp_path)
    with pytest.raises(ClassMismatch, match="'ring'"):
        measure(found.method, disc_set.part("test"), ("bright disc", "ring", "no disc"), store=FeatureStore())


def test_nothing_is_learned_by_measuring(disc_set: ImageSet, tmp_path: Path) -> None:
    found = fitted(disc_set, tmp_path, "zero_shot")
    images, store = disc_set.part("train"), FeatureStore()
    first = measure(found.method, images, disc_set.classes, store=store)
    measure(found.method, disc_set.part("test"), disc_set.classes, store=store)
    assert np.array_equal(measure(found.method, images, disc_set.classes, store=store).logits, first.logits)
