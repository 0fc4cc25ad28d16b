"""A model's accuracy against guessing, by its card."""

import numpy as np
import pytest

from core.evaluation.model_intervals import model_intervals
from core.explain.standing import standing


def card(labels, predicted, classes=2):
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (labels, predicted), 1)
    own = model_intervals(np.eye(classes)[predicted], np.asarray(labels))
    recalls = [row[k] / row.sum() for k, row in enumerate(table) if row.sum()]
    metrics = {"accuracy": table.trace() / table.sum(), "balanced_accuracy": float(np.mean(recalls))}
    return {"confusion": table.tolist(), "metrics": metrics, "intervals": own}


def test_a_good_model_is_above_guessing():
    found = standing(card([0] * 20 + [1] * 20, [0] * 18 + [1] * 2 + [1] * 20))
    assert (found["metric"], found["value"], found["chance"], found["n"]) == ("balanced_accuracy", 0.95, 0.5, 40)
    assert found["above_chance"] is True
    assert found["low"] > 0.5
    assert found["sentence"].startswith("Balanced accuracy of this model: 0.95 [")
    assert found["sentence"].endswith("on 40 test images, above guessing (0.50).")


def test_always_naming_the_frequent_class_is_guessing():
    found = standing(card([0] * 90 + [1] * 10, [0] * 100))
    assert (found["value"], found["above_chance"]) == (0.5, False)
    assert "not surely above guessing" in found["sentence"]


def test_a_model_without_mistakes_is_judged_by_accuracy_where_resampling_gives_no_range():
    found = standing(card([0] * 60 + [1] * 40, [0] * 60 + [1] * 40))
    assert found["above_chance"] is True
    if found["metric"] == "accuracy":
        assert found["chance"] == pytest.approx(0.6)


@pytest.mark.parametrize("told", [{}, {"confusion": [[3, 0], [0, 0]], "metrics": {"accuracy": 1.0}, "intervals": {}}])
def test_an_unknown_accuracy_is_said(told):
    found = standing(told)
    assert (found["above_chance"], found["metric"]) == (None, None)
    assert found["sentence"] == "How good this model is on test images is not known."
