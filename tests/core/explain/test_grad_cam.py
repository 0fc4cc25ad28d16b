"""Grad-CAM finds what a model looks at, and gives raw values."""

import numpy as np
import pytest
import torch

from core.explain.grad_cam import grad_cam
from core.explain.region import box_mask, region_share
from tests.core.explain.towers import head_classifier, spot_picture


@pytest.mark.parametrize(("row", "column"), [(5, 2), (0, 7), (3, 3)])
def test_the_map_lies_on_a_planted_patch(spot_classifier, row, column):
    backbone = spot_classifier.backbone
    pixels = backbone.preprocess(spot_picture(row, column))[None]
    found = grad_cam(spot_classifier, pixels, 1, backbone.image_attention(pixels))
    planted = box_mask((column * 8, row * 8, column * 8 + 8, row * 8 + 8), 64)
    share = region_share(found.positive, planted)
    assert share.map_share > 0.8
    assert share.pointing_hit


def test_the_other_class_has_the_opposite_evidence(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    layout = spot_classifier.backbone.image_attention(pixels)
    bright, dark = (grad_cam(spot_classifier, pixels, c, layout) for c in (1, 0))
    assert bright.signed == pytest.approx(-dark.signed)
    assert bright.score == pytest.approx(-dark.score)
    assert dark.positive.max() == pytest.approx(0)


def test_values_are_raw_and_follow_the_formula(backbone, pixels):
    classifier = head_classifier(backbone)
    layout = backbone.image_attention(pixels)
    kept = {}
    handle = backbone.grad_cam_layer().register_forward_hook(lambda m, i, o: kept.update(out=o))
    score = classifier.logits_from_pixels(pixels.clone().requires_grad_())[0, 1]
    (gradient,) = torch.autograd.grad(score, kept["out"])
    handle.remove()
    patches = list(layout.patches)
    weights = gradient[0, patches].mean(dim=0)
    expected = (kept["out"][0, patches] @ weights).detach().numpy().reshape(layout.grid)
    found = grad_cam(classifier, pixels, 1, layout)
    assert found.signed == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert found.score == pytest.approx(float(score.detach()), rel=1e-4)


@pytest.mark.parametrize(("mode", "missing"), [("replace", 2), ("insert", 0)])
def test_zero_vectors_keep_the_grid_and_replaced_cells_are_reported(backbone, pixels, mode, missing):
    classifier = head_classifier(backbone, vectors=2, mode=mode)
    layout = backbone.image_attention(pixels, classifier.visual_tokens())
    found = grad_cam(classifier, pixels, 0, layout)
    assert found.signed.shape == backbone.patch_grid
    assert found.replaced == missing
    assert np.isnan(found.signed.ravel()[:missing]).all()
    assert np.isfinite(found.signed.ravel()[missing:]).all()


def test_learned_parameters_get_no_gradient_and_no_hook_is_left(backbone, pixels):
    classifier = head_classifier(backbone)
    grad_cam(classifier, pixels, 0, backbone.image_attention(pixels))
    assert classifier.method.weight.grad is None
    assert not backbone.grad_cam_layer()._forward_hooks


def test_the_map_does_not_change_from_call_to_call(backbone, pixels):
    classifier, layout = head_classifier(backbone), backbone.image_attention(pixels)
    first, second = (grad_cam(classifier, pixels, 0, layout).signed for _ in range(2))
    assert np.array_equal(first, second)
