"""Grad-CAM finds what a model looks at, and gives raw values."""

import numpy as np
import pytest
import torch

from core.explain.captured import capture
from core.explain.region import box_mask, region_share
from core.explain.registry import get_explainer
from tests.core.explain.towers import head_classifier, spot_picture


def grad_cam(classifier, pixels, class_index):
    """The signed map of a class."""
    return get_explainer("grad_cam")().map_set(capture(classifier, pixels), [class_index]).maps[0]


@pytest.mark.parametrize(("row", "column"), [(5, 2), (0, 7), (3, 3)])
def test_the_map_lies_on_a_planted_patch(spot_classifier, row, column):
    backbone = spot_classifier.backbone
    pixels = backbone.preprocess(spot_picture(row, column))[None]
    found = grad_cam(spot_classifier, pixels, 1)
    planted = box_mask((column * 8, row * 8, column * 8 + 8, row * 8 + 8), 64)
    share = region_share(found, planted)
    assert share.map_share > 0.8
    assert share.pointing_hit


def test_the_other_class_has_the_opposite_evidence(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    bright, dark = (grad_cam(spot_classifier, pixels, c) for c in (1, 0))
    assert bright == pytest.approx(-dark)
    first, second = capture(spot_classifier, pixels).logits
    assert float(first) == pytest.approx(-float(second))
    assert np.maximum(dark, 0).max() == pytest.approx(0)


def test_values_are_raw_and_follow_the_formula(backbone, pixels):
    classifier = head_classifier(backbone)
    layout = backbone.image_attention(pixels)
    kept = {}
    last = backbone.image_blocks()[-1]
    norm = getattr(last, "norm1", None) or last.ln_1
    handle = norm.register_forward_hook(lambda m, i, o: kept.update(out=o))
    score = classifier.logits_from_pixels(pixels.clone().requires_grad_())[0, 1]
    (gradient,) = torch.autograd.grad(score, kept["out"])
    handle.remove()
    patches = list(layout.patches)
    weights = gradient[0, patches].mean(dim=0)
    expected = (kept["out"][0, patches] @ weights).detach().numpy().reshape(layout.grid)
    assert grad_cam(classifier, pixels, 1) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert float(capture(classifier, pixels).logits[1]) == pytest.approx(float(score.detach()), rel=1e-4)


@pytest.mark.parametrize(("mode", "missing"), [("replace", 2), ("insert", 0)])
def test_zero_vectors_keep_the_grid_and_replaced_cells_are_reported(backbone, pixels, mode, missing):
    classifier = head_classifier(backbone, vectors=2, mode=mode)
    found = grad_cam(classifier, pixels, 0)
    assert found.shape == backbone.patch_grid
    assert int(np.isnan(found).sum()) == missing
    assert np.isnan(found.ravel()[:missing]).all()
    assert np.isfinite(found.ravel()[missing:]).all()


def test_learned_parameters_get_no_gradient_and_no_hook_is_left(backbone, pixels):
    classifier = head_classifier(backbone)
    grad_cam(classifier, pixels, 0)
    assert classifier.method.weight.grad is None
    assert not any(module._forward_hooks for block in backbone.image_blocks() for module in block.modules())


def test_the_map_does_not_change_from_call_to_call(backbone, pixels):
    classifier = head_classifier(backbone)
    first, second = (grad_cam(classifier, pixels, 0) for _ in range(2))
    assert np.array_equal(first, second)
