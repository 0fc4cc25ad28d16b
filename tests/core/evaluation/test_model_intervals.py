"""How sure one model's numbers are, over its test images or patients."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.intervals import model_claim, wilson_interval
from core.evaluation.metrics import metrics
from core.evaluation.model_intervals import jeffreys_interval, model_intervals, small_classes


def made_up(n: int = 120, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scores = draw.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), labels


def test_each_interval_holds_its_metric_and_says_what_it_is_over() -> None:
    p, y = made_up()
    found, numbers = model_intervals(p, y), metrics(p, y)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa"):
        assert found[name]["low"] < numbers[name] < found[name]["high"], name
        assert (found[name]["over"], found[name]["n"]) == ("images", 120)
    assert (found["ece"]["low"], found["ece"]["over"]) == (None, None)


def test_accuracy_has_wilsons_interval() -> None:
    p, y = made_up()
    known = wilson_interval(int((p.argmax(axis=1) == y).sum()), len(y))
    assert model_intervals(p, y)["accuracy"] | {"mean": known.mean} == known.as_dict()


def test_a_perfect_model_has_no_interval_of_width_zero() -> None:
    y = np.arange(40) % 2
    found = model_intervals(np.eye(2)[y], y)
    assert found["accuracy"]["low"] == pytest.approx(0.9124, abs=1e-4)
    assert found["balanced_accuracy"]["low"] < 0.95
    for name in ("macro_f1", "auroc"):
        assert (found[name]["low"], found[name]["high"], found[name]["over"]) == (None, None, None)
        assert found[name]["interval"].startswith("none: every resample gives the same number")
    grouped = model_intervals(np.eye(2)[y], y, [f"patient {at // 2}" for at in range(40)])
    assert grouped["accuracy"]["low"] is None


def test_patients_are_what_varies_where_they_are_known() -> None:
    p, y = made_up()
    groups = [f"patient {at // 6}" for at in range(len(y))]
    found = model_intervals(p, y, groups)
    assert (found["accuracy"]["over"], found["accuracy"]["n"]) == ("groups", 20)
    assert found["accuracy"]["interval"] == "95% bootstrap over 20 groups (approximate)"
    few = model_intervals(p, y, [f"patient {at // 30}" for at in range(len(y))])
    assert (few["accuracy"]["low"], few["accuracy"]["interval"]) == (None, "none: fewer than 10 groups")
    alone = model_intervals(p, y, [f"patient {at}" for at in range(len(y))])
    assert alone["accuracy"]["over"] == "images"


def test_every_interval_says_that_it_is_of_this_model() -> None:
    p, y = made_up()
    for kind, groups in (("images", None), ("groups", [f"patient {at // 4}" for at in range(len(y))])):
        found = model_intervals(p, y, groups)
        told = {name: each["claim"] for name, each in found.items()}
        assert told == dict.fromkeys(
            ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa"), model_claim(kind)
        ) | {"ece": None}


def test_a_small_class_makes_resampled_numbers_approximate() -> None:
    p, y = made_up(300)
    assert model_intervals(p, y)["macro_f1"]["interval"] == "95% bootstrap over 300 images"
    keep = (y != 2) | (np.arange(300) < 60)
    found = model_intervals(p[keep], y[keep])
    assert found["macro_f1"]["interval"] == "95% bootstrap over 220 images (approximate)"
    assert found["balanced_accuracy"]["interval"] == "95% Jeffreys by class over 220 images"


def test_few_patients_are_approximate_in_auroc_too() -> None:
    p, y = made_up()
    found = model_intervals(p, y, [f"patient {at // 6}" for at in range(len(y))])
    assert found["auroc"]["interval"] == "95% jackknife over 20 groups (approximate)"
    few = model_intervals(p, y, [f"patient {at // 30}" for at in range(len(y))])
    assert few["auroc"]["interval"] == "none: fewer than 10 groups"


def test_jeffreys_leaves_absent_classes_out() -> None:
    table = np.array([[48, 12, 0], [5, 20, 0], [0, 0, 0]])
    found = jeffreys_interval(table)
    assert found.mean == pytest.approx(0.8)
    assert found == jeffreys_interval(table[:2, :2])


def test_small_classes_are_covered() -> None:
    draw, n, recalls = np.random.default_rng(5), np.array([60, 25, 10, 5]), np.array([0.9, 0.8, 0.7, 0.6])
    covered = []
    for hits in draw.binomial(n, recalls, size=(300, 4)):
        table = np.diag(hits)
        table[np.arange(4), (np.arange(4) + 1) % 4] += n - hits
        found = jeffreys_interval(table)
        covered.append(found.low <= recalls.mean() <= found.high)
    assert 0.91 < np.mean(covered) < 0.98


def test_tiny_classes_are_named() -> None:
    labels = np.repeat([0, 1, 3], [12, 9, 1])
    assert small_classes(labels, ["a", "b", "absent", "c"]) == [
        "'b' has 9 test images: hardly anything is known of its recall.",
        "'c' has 1 test image: hardly anything is known of its recall.",
    ]
