"""Pseudo-values against leaving out each image or patient and asking scikit-learn again."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from core.errors import InvalidInput
from core.evaluation.pseudo_values import NEED_PROBABILITIES, PSEUDO_METRICS, measure, pseudo_values, units_of

CLASSES = 3


def made_up(n: int = 45, seeds: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (seeds, n, classes), rounded so that scores tie, and labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    scores = draw.normal(size=(seeds, n, CLASSES)) + np.eye(CLASSES)[labels]
    scores[:, :5] = scores[:, 5:10].copy()
    p = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    return p, labels


def sklearn_metric(metric: str, y: np.ndarray, p: np.ndarray) -> float:
    told, classes = p.argmax(axis=1), range(CLASSES)
    return {
        "accuracy": lambda: sk.accuracy_score(y, told),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, told),
        "macro_f1": lambda: sk.f1_score(y, told, average="macro", labels=classes),
        "kappa": lambda: sk.cohen_kappa_score(y, told, labels=classes),
        "quadratic_kappa": lambda: sk.cohen_kappa_score(y, told, labels=classes, weights="quadratic"),
        "auroc": lambda: sk.roc_auc_score(y, p, multi_class="ovr", average="macro", labels=classes),
        "brier": lambda: sk.brier_score_loss(y, p, scale_by_half=False, labels=classes),
        "log_loss": lambda: sk.log_loss(y, p, labels=classes),
    }[metric]()


@pytest.mark.parametrize("metric", PSEUDO_METRICS)
@pytest.mark.parametrize("size", [1, 4])
def test_values_are_those_of_leaving_out_each_unit(metric: str, size: int) -> None:
    p, y = made_up()
    unit = np.arange(len(y)) // size
    n_units = unit.max() + 1
    whole, values, why = pseudo_values(metric, y, p, unit)
    assert why == ""
    for seed in range(len(p)):
        known = sklearn_metric(metric, y, p[seed])
        without = [sklearn_metric(metric, y[unit != g], p[seed][unit != g]) for g in range(n_units)]
        raw = n_units * known - (n_units - 1) * np.array(without)
        assert whole[seed] == pytest.approx(known, abs=1e-9)
        assert values[seed] == pytest.approx(raw - raw.mean() + known, abs=1e-6)


def test_accuracy_of_single_images_is_0_or_1_each() -> None:
    y = np.array([0, 1, 1, 0])
    found = measure("accuracy", y, predicted=np.array([[0, 1, 0, 0], [1, 1, 1, 0]]))
    order = [int(name.split()[1]) for name in found.units.names]
    assert found.values[:, np.argsort(order)] == pytest.approx(np.array([[1, 1, 0, 1], [0, 1, 1, 1]]))
    assert found.per_seed.tolist() == [0.75, 0.75]


@pytest.mark.parametrize("metric", [name for name in PSEUDO_METRICS if name not in NEED_PROBABILITIES])
def test_predicted_classes_are_enough_where_only_they_count(metric: str) -> None:
    p, y = made_up()
    by_class = measure(metric, y, predicted=p.argmax(axis=-1))
    assert by_class.values == pytest.approx(measure(metric, y, probabilities=p).values)


def test_leading_axes_are_worked_one_by_one() -> None:
    p, y = made_up(seeds=6)
    unit = np.arange(len(y)) // 3
    for metric in PSEUDO_METRICS:
        together = pseudo_values(metric, y, p.reshape(2, 3, *p.shape[1:]), unit)[1]
        assert together.shape == (2, 3, 15)
        assert together.reshape(6, 15) == pytest.approx(pseudo_values(metric, y, p, unit)[1])


def test_two_classes_have_one_auroc() -> None:
    draw = np.random.default_rng(3)
    y, score = np.arange(20) % 2, draw.random(20).round(1)
    p = np.stack([1 - score, score], axis=1)
    found = measure("auroc", y, probabilities=p[None])
    assert found.mean == pytest.approx(sk.roc_auc_score(y, score))
    raw = [20 * found.mean - 19 * sk.roc_auc_score(np.delete(y, i), np.delete(score, i)) for i in range(20)]
    order = [int(name.split()[1]) for name in found.units.names]
    assert found.values[0] - found.mean == pytest.approx((np.array(raw) - np.mean(raw))[order])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "auroc"])
def test_a_class_inside_one_patient_is_named_and_leaves_no_values(metric: str) -> None:
    p, y = made_up(12)
    groups = [f"p{label}" if label == 2 else f"p{at}" for at, label in enumerate(y)]
    found = measure(metric, y, probabilities=p, groups=groups, classes=["benign", "malignant", "normal"])
    assert found.values is None
    assert found.why == "one group holds all test images of class 'normal'"
    assert np.isfinite(found.per_seed).all()


def test_a_class_inside_one_patient_does_not_matter_to_accuracy() -> None:
    p, y = made_up(12)
    groups = [f"p{label}" if label == 2 else f"p{at}" for at, label in enumerate(y)]
    assert measure("accuracy", y, probabilities=p, groups=groups).values.shape == (2, 9)


def test_one_class_and_one_patient_leave_no_values() -> None:
    p, _ = made_up(12)
    assert measure("auroc", [0] * 12, probabilities=p).why == "all test images are of one class"
    alone = measure("accuracy", np.arange(12) % 3, probabilities=p, groups=["p1"] * 12)
    assert (alone.values, alone.why) == (None, "there is only one group")
    same = measure("kappa", [0] * 12, predicted=np.zeros((1, 12), dtype=int))
    assert same.why == "the metric is undefined on these images, or without one image of them"


def test_a_wrong_class_without_images_does_not_move_the_number_of_classes() -> None:
    y, told = np.array([0, 1] * 10), np.array([0, 1] * 10)
    told[0] = 2
    found = measure("macro_f1", y, predicted=told[None])
    # F1: 18/19 of class 0 (9 of 10 found), 1 of class 1, 0 of class 2; without image 0 1, 1 and 0
    assert found.mean == pytest.approx((18 / 19 + 1) / 3)
    raw = 20 * found.mean - 19 * 2 / 3
    values = found.values[0]
    assert values.min() - values.max() == pytest.approx(raw - (20 * found.mean - 19 * (16 / 17 + 1) / 3))


def test_units_are_patients_where_two_images_share_one() -> None:
    found = units_of(4, ["a", "b", "a", None], ["1.png", "2.png", "3.png", "4.png"])
    assert found.names == ("group a", "group b", "image 4.png")
    assert (found.of_image.tolist(), found.kind) == ([0, 1, 0, 2], "groups")
    assert units_of(3, ["a", "b", "c"]).kind == units_of(3).kind == "images"


def test_named_images_are_put_in_the_order_of_their_names() -> None:
    p, y = made_up(12)
    names = [f"{at:02}.png" for at in range(12)]
    turned = measure("auroc", y[::-1], probabilities=p[:, ::-1], images=names[::-1], groups=[n[:1] for n in names])
    straight = measure("auroc", y, probabilities=p, images=names, groups=[n[:1] for n in names][::-1])
    assert turned.images == tuple(names)
    assert turned.values == pytest.approx(straight.values)
    assert (turned.correct == straight.correct).all()


def test_what_cannot_be_measured_is_refused_with_a_sentence() -> None:
    p, y = made_up(12)
    with pytest.raises(InvalidInput, match=r"Pseudo-values exist for accuracy, .*; found 'ece'. Choose one of them"):
        measure("ece", y, probabilities=p)
    with pytest.raises(InvalidInput, match="'auroc' needs probabilities; found predicted classes only"):
        measure("auroc", y, predicted=p.argmax(axis=-1))
    with pytest.raises(InvalidInput, match="found 11 labels, answers of shape \\(2, 12\\)"):
        measure("accuracy", y[1:], probabilities=p)
    with pytest.raises(InvalidInput, match=r"a seed of its own; found seeds \[1, 1\], 2 rows"):
        measure("accuracy", y, probabilities=p, seeds=[1, 1])
