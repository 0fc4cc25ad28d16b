"""Metrics against numbers worked out by hand."""

import numpy as np
import pytest

from core.errors import ClassMismatch, InvalidInput
from core.evaluation.metrics import (
    METRICS,
    confusion,
    expected_calibration_error,
    majority_accuracy,
    metrics,
    per_class,
    reliability_bins,
)

# Five images, three classes; predicted 0, 0, 1, 1, 2.
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8]],
)
LABELS = np.array([0, 0, 1, 0, 2])


def test_metrics_agree_with_a_worked_example():
    found = metrics(PROBABILITIES, LABELS)
    assert list(found) == list(METRICS)
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    # Every class is ranked perfectly: class 0 scores .8 .6 .3 against .2 .1, and so on.
    assert found["auroc"] == pytest.approx(1.0)
    # Observed 0.8; expected by chance (3*2 + 1*2 + 1*1) / 25 = 0.36.
    assert found["kappa"] == pytest.approx((0.8 - 0.36) / (1 - 0.36))
    assert all(isinstance(value, float) for value in found.values())


def test_calibration_error_is_the_weighted_gap_per_bin():
    # Tops .8 .6 .7 .4 .8 fall into four bins of width 1/15; the two .8 share one.
    expected = (2 * abs(1 - 0.8) + abs(1 - 0.6) + abs(1 - 0.7) + abs(0 - 0.4)) / 5
    assert expected_calibration_error(PROBABILITIES, LABELS) == pytest.approx(expected)


def test_confidence_on_a_bin_edge_and_at_one_is_counted_once():
    bins = reliability_bins(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1]), bins=2)
    assert [row["n"] for row in bins] == [1, 1]
    assert bins[0] == {"low": 0.0, "high": 0.5, "n": 1, "confidence": 0.5, "accuracy": 1.0}
    assert bins[1]["accuracy"] == 0.0


def test_an_empty_bin_has_no_accuracy():
    assert reliability_bins(np.array([[0.9, 0.1]]), np.array([0]), bins=2)[0]["accuracy"] is None


def test_binary_auroc_is_that_of_the_second_class():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    assert metrics(probabilities, np.array([0, 0, 1, 1]))["auroc"] == pytest.approx(3 / 4)


def test_auroc_leaves_out_classes_the_test_part_lacks():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
    found = metrics(probabilities, np.array([0, 1, 1]))
    # class 0: .7 above .5 and .6 -> 1; class 1: .3 .3 above .2 -> 1; class 2 is absent.
    assert found["auroc"] == 1.0
    assert found["balanced_accuracy"] == pytest.approx(0.5)


def test_one_class_only_leaves_auroc_and_kappa_undefined():
    found = metrics(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 0]))
    assert found["auroc"] is None
    assert found["kappa"] is None
    assert found["accuracy"] == 1.0


def test_reordered_classes_give_the_same_metrics():
    order = [2, 0, 1]
    moved = metrics(PROBABILITIES[:, order], np.array([order.index(label) for label in LABELS]))
    assert moved == pytest.approx(metrics(PROBABILITIES, LABELS))


def test_confusion_counts_true_rows_and_predicted_columns():
    assert confusion(LABELS, PROBABILITIES.argmax(1), 3) == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_per_class_rows_say_what_is_undefined():
    rows = per_class(PROBABILITIES[:3], LABELS[:3], ["a", "b", "c"])
    assert rows[0] == {"class": "a", "n": 2, "recall": 1.0, "precision": 1.0, "f1": 1.0, "auroc": 1.0}
    assert rows[2] == {"class": "c", "n": 0, "recall": None, "precision": None, "f1": None, "auroc": None}


def test_majority_accuracy_is_the_share_of_the_most_common_class():
    assert majority_accuracy([0, 0, 1, 0]) == 0.75


def test_logits_instead_of_probabilities_are_refused():
    with pytest.raises(InvalidInput, match="Give probabilities, not logits"):
        metrics(np.array([[3.0, 1.0]]), np.array([0]))


def test_not_a_number_is_refused():
    with pytest.raises(InvalidInput, match="training diverged"):
        metrics(np.array([[np.nan, 1.0]]), np.array([0]))


def test_labels_beyond_the_columns_are_refused():
    with pytest.raises(ClassMismatch, match=r"Labels lie between 0 and 1; found 0 to 2"):
        metrics(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 2]))


def test_another_number_of_classes_is_refused():
    with pytest.raises(ClassMismatch, match="3 classes need as many columns"):
        metrics(np.array([[0.5, 0.5]]), np.array([0]), ["a", "b", "c"])


def test_an_empty_test_part_is_refused():
    with pytest.raises(InvalidInput, match="at least one image"):
        metrics(np.zeros((0, 2)), np.zeros(0))
