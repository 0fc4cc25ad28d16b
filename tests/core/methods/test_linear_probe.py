"""The linear probe's worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from core.tuning.data import TensorData
from core.tuning.logistic import search_strength
from core.tuning.loop import fit
from tests.core.tuning.test_every_method import build, clustered_data


def test_equal_scores_keep_the_left_end_of_the_bracket_around_the_first_best() -> None:
    tried: list[float] = []

    def score(strength: float) -> float:
        tried.append(strength)
        return 1.0

    assert search_strength(score) == pytest.approx(1e5)
    # the bracket 1e5 .. 1e7 shrinks from the right, by square roots
    assert tried[7:13] == pytest.approx([1e5, 1e7, 1e5, 1e6, 1e5, math.sqrt(1e5 * 1e6)])


def test_the_search_runs_towards_a_single_peak() -> None:
    found = search_strength(lambda strength: -abs(math.log10(strength) - 0.7))
    assert math.log10(found) == pytest.approx(0.7, abs=0.3)


def test_scores_are_those_of_scikit_learn() -> None:
    data = clustered_data()
    method = build("linear_probe", search=False, inverse_regularisation=2.0)
    fit(method, data, seed=0)
    images = data.train_features().numpy()
    known = LogisticRegression(C=2.0, max_iter=1000).fit(images, data.labels.numpy()).decision_function(images)
    np.testing.assert_allclose(method.logits(data.train_features()).numpy(), known, atol=1e-4)


def test_two_classes_give_the_same_probabilities_as_one_border() -> None:
    data = clustered_data()
    images, labels = data.train_features()[:8], data.labels[:8]
    method = build("linear_probe", ("a", "b"), search=False)
    fit(method, TensorData(labels, [], features=images), seed=0)
    known = LogisticRegression(max_iter=1000).fit(images.numpy(), labels.numpy()).predict_proba(images.numpy())
    np.testing.assert_allclose(method.logits(images).softmax(-1).numpy(), known, atol=1e-5)


def test_one_image_per_class_and_no_further_ones_leave_c_as_given() -> None:
    method = build("linear_probe", inverse_regularisation=3.0)
    data = TensorData(torch.arange(3), [], features=clustered_data().train_features()[::4])
    fit(method, data, seed=0)
    assert float(method.strength) == 3.0
