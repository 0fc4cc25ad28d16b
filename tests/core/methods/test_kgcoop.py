"""KgCoOp's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.tuning.contract import Batch
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data


def test_at_its_own_sentence_the_knowledge_term_is_zero() -> None:
    data = clustered_data()
    terms = build("kgcoop").loss_terms(Batch(data.labels, features=data.train_features()))
    assert float(terms["knowledge"].detach()) == pytest.approx(0, abs=1e-5)


def test_elsewhere_it_is_the_weight_times_one_minus_the_mean_cosine() -> None:
    method, data = build("kgcoop", teacher_template="an image of {}.", knowledge_weight=3.0), clustered_data()
    with torch.no_grad():
        terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
        teacher = tiny_backbone().encode_texts([f"an image of {name}." for name in CLASSES])
        cosines = torch.cosine_similarity(method.class_features(), teacher)
    assert float(terms["knowledge"]) == pytest.approx(3 * (1 - float(cosines.mean())), abs=1e-4)
