"""Tip-Adapter-F's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.tuning.cache_model import Blend, affinity_scores, leave_own_out, one_hot, search_blend
from core.tuning.contract import Method
from core.tuning.data import TensorData
from core.tuning.loop import fit, make_optimizer
from tests.core.tuning.test_every_method import build, clustered_data


def test_the_cache_adds_alpha_times_the_kernel_to_the_class_of_each_key() -> None:
    scores = affinity_scores(torch.tensor([[0.5, 1.0]]), one_hot(torch.tensor([1, 0]), 2), Blend(2.0, 3.0))
    assert scores[0].tolist() == pytest.approx([2.0, 2 * math.exp(-1.5)])


def test_without_weight_the_cache_leaves_zero_shot() -> None:
    method, data = build("tip_adapter_f"), clustered_data()
    fit(method, data, seed=0)
    method.blend = torch.tensor([0.0, 1.0], dtype=torch.float64)
    images = data.train_features()
    with torch.no_grad():
        torch.testing.assert_close(method.logits(images), build("zero_shot").logits(images))


def test_the_search_keeps_the_first_best_pair() -> None:
    affinity = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    values, labels = one_hot(torch.tensor([0, 1]), 2), torch.tensor([0, 1])
    # the zero-shot scores are wrong by one for both; at beta 0.1 the kernel's two values differ by
    # exp(-0.01) - exp(-0.09) = 0.0761 and exp(-0.02) - exp(-0.08) = 0.0571, so alpha must exceed 17.52
    base = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = search_blend(affinity, values, base, labels)
    assert found.beta == pytest.approx(0.1)
    assert found.alpha == pytest.approx(0.1 + 70 * 49.9 / 200)


def test_inside_the_shots_no_image_votes_for_itself() -> None:
    affinity = leave_own_out(torch.ones(2, 2), torch.arange(2))
    scores = affinity_scores(affinity, one_hot(torch.tensor([0, 1]), 2), Blend(1.0, 1.0))
    assert scores.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_training_changes_the_keys() -> None:
    method, data = build("tip_adapter_f"), clustered_data()
    start = data.train_features().clone()
    fit(method, data, seed=0)
    assert method.keys.shape == start.shape
    assert float((method.keys.detach() - start).abs().max()) > 1e-3


def with_validation() -> TensorData:
    """The clustered images, and noisier ones of the same classes to choose on."""
    known, held = clustered_data(), clustered_data()
    noise = torch.randn(held.train_features().shape, generator=torch.Generator().manual_seed(3))
    noisy = torch.nn.functional.normalize(held.train_features() + 1.5 * noise / noise.shape[1] ** 0.5, dim=-1)
    return TensorData(
        known.labels,
        known._batches,
        features=known.train_features(),
        validation_features=noisy,
        validation_labels=held.labels,
    )


def test_the_training_weight_is_the_first_best_of_ten_fresh_trainings() -> None:
    data, hits = with_validation(), []
    for alpha in range(10):
        trial = build("tip_adapter_f", train_alpha=float(alpha), train_alpha_search="off")
        fit(trial, clustered_data(), seed=1)
        hits.append(data.validation_hits(trial.logits))
    method = build("tip_adapter_f")
    method.prepare(data)
    assert len(set(hits)) > 1
    assert method.blend.tolist() == [hits.index(max(hits)), 1.0]


def test_each_of_the_ten_trials_trains_a_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # kept alive: a freed memory's place could be given to the next trial
    trials: list[Method] = []

    def fit_and_keep(trial: Method, data: TensorData, **more: int) -> None:
        trials.append(trial)
        fit(trial, data, **more)

    monkeypatch.setattr("core.methods.tip_adapter_f.fit", fit_and_keep)
    method, data = build("tip_adapter_f"), with_validation()
    features = data.train_features().clone()
    method.prepare(data)

    memories = [trial.keys.untyped_storage().data_ptr() for trial in trials]
    assert len(set(memories)) == len(memories) == 10
    assert data.train_features().untyped_storage().data_ptr() not in memories
    assert torch.equal(data.train_features(), features)
    chosen = int(method.blend[0])
    others = [trial for trial in trials if trial is not trials[chosen]]
    assert method.keys.untyped_storage().data_ptr() not in [t.keys.untyped_storage().data_ptr() for t in others]
    assert torch.equal(method.keys, trials[chosen].keys)

    start, kept = method.keys.detach().clone(), [trial.keys.detach().clone() for trial in others]
    optimizer = make_optimizer(method, method.config)
    method.backward(method.loss_terms(next(data.batches(0, method.config))))
    optimizer.step()
    assert float((method.keys.detach() - start).abs().max()) > 1e-4
    assert all(torch.equal(trial.keys, keys) for trial, keys in zip(others, kept, strict=True))


def test_the_kept_copy_is_trained_on_and_its_weight_used() -> None:
    method, data = build("tip_adapter_f"), with_validation()
    method.prepare(data)
    chosen = method.keys.detach().clone()
    fit(method, data, seed=0)
    assert float((method.keys.detach() - chosen).abs().max()) > 1e-4


def test_in_the_published_order_trials_share_one_memory_and_the_epochs_do_nothing() -> None:
    method, data = build("tip_adapter_f", train_alpha_search="shared"), with_validation()
    method.prepare(data)
    after_trials = method.keys.detach().clone()
    fit(method, data, seed=0)
    assert torch.equal(method.keys.detach(), after_trials)
    # ten trainings of three steps one after another go further than any single one
    single = build("tip_adapter_f", train_alpha=9.0, train_alpha_search="off")
    fit(single, clustered_data(), seed=1)
    start = data.train_features()
    assert float((after_trials - start).norm()) > float((single.keys.detach() - start).norm())


def test_without_further_images_the_weight_is_the_given_one() -> None:
    method = build("tip_adapter_f", train_alpha=2.5)
    method.prepare(clustered_data())
    assert method.blend.tolist() == [2.5, 1.0]
