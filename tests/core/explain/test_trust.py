"""Trust tests: hiding matters, randomising matters, and the shared tower is never written to."""

import threading

import numpy as np
import pytest
import torch

from core.explain.grad_cam import grad_cam
from core.explain.trust import deletion, hide_patches, randomised_block, trust
from tests.core.explain.towers import spot_picture


def state_of(backbone):
    return [parameter.clone() for block in backbone.image_blocks() for parameter in block.parameters()]


def test_hiding_the_one_bright_patch_beats_hiding_random_ones(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    layout = spot_classifier.backbone.image_attention(pixels)
    cam = grad_cam(spot_classifier, pixels, 1, layout)
    found = trust(spot_classifier, pixels, 1, cam, layout)
    assert found["faithful"]
    assert found["deletion"]["mean_drop"] > 0.5 > found["deletion"]["mean_random_drop"]
    assert [step["patches"] for step in found["deletion"]["steps"]] == [6, 13, 26]
    assert found["peak"]["quadrant"] == "lower left"
    assert found["verdict"].startswith("Hiding what the map marks lowers the probability more than hiding random")


def test_hidden_patches_are_judged_the_way_classification_judges(backbone, classifier, picture, pixels):
    found = deletion(classifier, pixels, 1, np.arange(float(np.prod(backbone.patch_grid))).reshape(backbone.patch_grid))
    assert found["probability"] == pytest.approx(float(classifier.probabilities([picture])[0, 1]), rel=1e-5)


def test_a_map_that_points_elsewhere_is_not_called_faithful(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    elsewhere = np.arange(64.0)[::-1].reshape(8, 8)
    found = deletion(spot_classifier, pixels, 1, elsewhere)
    assert found["steps"][1]["drop"] < 0.05


def test_hidden_patches_show_the_mean_colour_and_nothing_else_changes():
    pixels = torch.arange(3 * 16.0).reshape(1, 3, 4, 4)
    found = hide_patches(pixels, np.array([1]), (2, 2))
    assert torch.equal(found[0, :, :2, 2:], pixels.mean(dim=(2, 3))[0][:, None, None].expand(3, 2, 2))
    assert torch.equal(found[0, :, 2:], pixels[0, :, 2:])


def test_trust_is_repeatable_and_leaves_the_tower_as_it_was(backbone, classifier, pixels):
    before, layout = state_of(backbone), backbone.image_attention(pixels)
    answer = classifier.logits_from_pixels(pixels).detach()
    cam = grad_cam(classifier, pixels, 0, layout)
    first, second = (trust(classifier, pixels, 0, cam, layout, seed=7) for _ in range(2))
    assert first == second
    assert -1 <= first["randomisation"]["rank_correlation"] <= 1
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(backbone), strict=True))
    assert torch.equal(classifier.logits_from_pixels(pixels).detach(), answer)
    assert not backbone.image_blocks()[-1]._forward_hooks


def test_the_randomised_block_changes_the_answer_for_this_thread_only(backbone, classifier, pixels):
    answer, elsewhere = classifier.logits_from_pixels(pixels).detach(), []
    with randomised_block(backbone):
        here = classifier.logits_from_pixels(pixels).detach()
        thread = threading.Thread(target=lambda: elsewhere.append(classifier.logits_from_pixels(pixels).detach()))
        thread.start()
        thread.join()
    assert not torch.allclose(here, answer)
    assert torch.equal(elsewhere[0], answer)


def test_the_tower_is_whole_again_after_a_failure(backbone, classifier, pixels):
    answer = classifier.logits_from_pixels(pixels).detach()
    with pytest.raises(RuntimeError, match="in between"), randomised_block(backbone):
        raise RuntimeError("in between")
    assert torch.equal(classifier.logits_from_pixels(pixels).detach(), answer)
