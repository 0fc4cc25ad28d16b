"""Biomed-DPT's worked numbers."""

from __future__ import annotations

import math

import pytest
import torch

from core.tuning.contract import Batch
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.losses import divergence
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build, clustered_data


def test_the_divergence_is_divided_by_images_times_classes() -> None:
    # KL of (3/4, 1/4) from (1/2, 1/2), shared by two elements
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]])
    expected = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2
    assert float(divergence(student, teacher)) == pytest.approx(expected, abs=1e-7)


def test_the_loss_is_cross_entropy_plus_anchor_distance_plus_divergence() -> None:
    method = build("biomed_dpt", text_dropout=False, anchor_weight=3.0, distillation_weight=0.7)
    data, scale = clustered_data(), tiny_backbone().logit_scale
    images, labels = data.train_features()[:4], data.labels[:4]
    with torch.no_grad():
        terms = method.loss_terms(Batch(labels, features=images))
        texts, anchors = method.class_features(), method.task.description_anchors()
    student, teacher = (scale * images @ features.T for features in (texts, anchors))
    p, log_q = teacher.softmax(-1), student.log_softmax(-1)
    expected = {
        "cross_entropy": -log_q[torch.arange(4), labels].mean(),
        "anchor": 3.0 * (texts - anchors).abs().sum() / texts.numel(),
        "distillation": 0.7 * (p * (p.log() - log_q)).sum() / 12,
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, abs=1e-5
    )


def test_replacing_hides_the_first_patches_and_inserting_hides_none() -> None:
    size, grid = tiny_backbone().preprocessing.size, tiny_backbone().patch_grid
    patch = size // grid[0]
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    changed = pixels.clone()
    changed[:, :, :patch, : 4 * patch] += 1.0
    for mode, hidden in (("replace", True), ("insert", False)):
        method = build("biomed_dpt", zero_vector_mode=mode)
        with torch.no_grad():
            same = torch.allclose(method.encode_images(pixels), method.encode_images(changed), atol=1e-6)
        assert same is hidden, mode


def test_without_zero_vectors_the_tower_is_the_plain_one() -> None:
    method = build("biomed_dpt", zero_vectors=0)
    assert method.visual_tokens() is None
    assert method.image_path(method.config) == "frozen"
    assert build("biomed_dpt").image_path(build("biomed_dpt").config) == "prompted"


def test_learned_vectors_start_as_the_constant_ones_and_leave_zero() -> None:
    options = {"zero_vector_mode": "insert", "text_dropout": False}
    learned, constant = build("biomed_dpt", zero_vectors_learned=True, **options), build("biomed_dpt", **options)
    assert learned.image_path(learned.config) == "trained"
    images = pixels()
    with torch.no_grad():
        torch.testing.assert_close(learned.encode_images(images), constant.encode_images(images), atol=1e-6, rtol=0)
    fit(learned, TensorData(torch.tensor([0, 1]), [[0, 1]], pixels=images), seed=0)
    vectors = torch.stack(list(learned.visual.vectors)).detach()
    assert vectors.shape == (tiny_backbone().image_layers, 4, tiny_backbone().image_width)
    assert all(float(layer.abs().max()) > 0 for layer in vectors)
