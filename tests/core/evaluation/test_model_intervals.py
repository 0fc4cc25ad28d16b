"""How sure one model's numbers are, over its test images or patients."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.intervals import wilson_interval
from core.evaluation.metrics import metrics
from core.evaluation.model_intervals import _auroc_without, model_intervals


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


@pytest.mark.parametrize("size", [1, 4])
def test_leaving_out_a_unit_gives_the_auroc_of_the_others(size: int) -> None:
    from sklearn.metrics import roc_auc_score

    p, y = made_up(48)
    scores, is_class, unit = p[:, 1].round(1), y == 1, np.arange(48) // size
    whole, without = _auroc_without(scores, is_class, unit, 48 // size)
    assert whole == pytest.approx(roc_auc_score(is_class, scores))
    for one in range(48 // size):
        rest = unit != one
        assert without[one] == pytest.approx(roc_auc_score(is_class[rest], scores[rest]))
