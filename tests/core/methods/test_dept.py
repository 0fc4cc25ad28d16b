"""DePT's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.methods.dept import Head, fused
from core.tuning.contract import Batch
from core.tuning.loop import fit, make_optimizer
from core.tuning.registry import get_method
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data, data_for, scores


def test_the_fusion_of_scores_by_hand() -> None:
    found = fused(torch.tensor([10.0, 12.0]), torch.tensor([1.0, -1.0]), 0.7)
    torch.testing.assert_close(found, torch.tensor([3.7, 2.9]))


def test_the_classifier_has_the_published_size_and_starts_without_an_opinion() -> None:
    head = Head(512, 10)
    assert sum(p.numel() for p in head.parameters()) == 2048 + 513 * 10
    assert not head.of_images(torch.randn(3, 512)).any()


def test_the_classifier_learns_from_images_and_their_class_texts() -> None:
    method, data = build("dept"), clustered_data()
    with torch.no_grad():
        method.head.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
        terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
        texts = method.class_features()[data.labels]
        rows = 10 * torch.cat([texts, data.train_features()]) @ method.head.linear.weight.T
        plain = build("coop").loss_terms(Batch(data.labels, features=data.train_features()))["cross_entropy"]
    expected = torch.nn.functional.cross_entropy(rows, data.labels.repeat(2))
    assert float(terms["head"]) == pytest.approx(0.7 * float(expected), rel=1e-4)
    assert float(terms["cross_entropy"]) == pytest.approx(0.3 * float(plain), rel=1e-4)


def test_without_a_share_of_the_classifier_it_is_the_base() -> None:
    same = {"learning_rate": 0.05, "warmup_epochs": 0}
    one, other = build("dept", head_share=0, **same), build("coop", **same)
    for method in (one, other):
        fit(method, data_for(method), seed=0)
    torch.testing.assert_close(scores(one), scores(other))


def test_the_distance_of_kgcoop_has_the_published_weight_and_the_base_its_own_settings() -> None:
    method = build("dept", base="kgcoop")
    assert (method.base.config.knowledge_weight, method.base.config.batch_size) == (2.0, 4)
    data = clustered_data()
    terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
    assert set(terms) == {"cross_entropy", "knowledge", "head"}


def test_on_promptsrc_the_average_takes_in_the_classifier() -> None:
    method = build("dept", base="promptsrc", epochs=2, warmup_epochs=0)
    assert get_method("dept").image_path(method.config) == "trained"
    assert method.epoch_weights() is not None
    history = []
    after = method.after_epoch
    method.after_epoch = lambda epoch: (after(epoch), history.append(method.head.linear.weight.detach().clone()))
    fit(method, data_for(method), seed=0)
    first, second = method.epoch_weights().tolist()
    torch.testing.assert_close(method.head.linear.weight.detach(), first * history[0] + second * history[1])


def test_the_classifier_takes_larger_steps() -> None:
    method = build("dept")
    assert [group["multiplier"] for group in make_optimizer(method, method.config).param_groups] == [1.0, 6.5]


def test_other_names_are_answered_by_the_base_alone() -> None:
    method, other = build("dept"), build("dept", (*CLASSES[:2], "square"))
    fit(method, data_for(method), seed=0)
    other.take_learned_from(method)
    features = clustered_data().train_features()
    with torch.no_grad():
        assert torch.equal(other.logits(features), other.base.logits(features))
        assert not torch.allclose(method.logits(features), method.base.logits(features))
