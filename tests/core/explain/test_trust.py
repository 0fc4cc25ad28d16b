"""Trust tests: hiding matters, randomising matters, and the shared tower is never written to."""

import threading

import numpy as np
import pytest
import torch

from core.explain.captured import capture
from core.explain.registry import get_explainer
from core.explain.trust import deletion, hide_patches, trust, with_shuffled_block
from tests.core.explain.tasks import method_classifier
from tests.core.explain.test_captured import METHODS
from tests.core.explain.towers import spot_picture


def state_of(backbone):
    return [parameter.clone() for block in backbone.image_blocks() for parameter in block.parameters()]


@pytest.mark.parametrize("name", ["hires_cam", "grad_cam"])
def test_hiding_the_one_bright_patch_beats_hiding_random_ones(spot_classifier, name):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    found = trust(capture(spot_classifier, pixels), 1, get_explainer(name)())
    assert found["explainer"] == name
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


@pytest.mark.parametrize("name", ["hires_cam", "grad_cam", "relevance"])
def test_trust_is_repeatable_and_leaves_the_tower_as_it_was(backbone, classifier, pixels, name):
    before = state_of(backbone)
    answer = classifier.logits_from_pixels(pixels).detach()
    first, second = (trust(capture(classifier, pixels), 0, get_explainer(name)(), seed=7) for _ in range(2))
    assert first == second
    assert -1 <= first["randomisation"]["rank_correlation"] <= 1
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(backbone), strict=True))
    assert torch.equal(classifier.logits_from_pixels(pixels).detach(), answer)
    assert not backbone.image_blocks()[-1]._forward_hooks


def test_the_randomised_block_changes_the_answer_for_its_own_copy_only(backbone, classifier, pixels):
    answer, elsewhere = classifier.logits_from_pixels(pixels).detach(), []
    shuffled = with_shuffled_block(classifier)
    here = shuffled.logits_from_pixels(pixels).detach()
    thread = threading.Thread(target=lambda: elsewhere.append(classifier.logits_from_pixels(pixels).detach()))
    thread.start()
    thread.join()
    assert not torch.allclose(here, answer)
    assert torch.equal(elsewhere[0], answer)
    assert shuffled.method.task.classes == classifier.method.task.classes


@pytest.mark.parametrize("kind", METHODS)
def test_every_kind_of_image_path_goes_through_the_randomised_block(backbone, pixels, kind):
    name, options = METHODS[kind]
    tuned = method_classifier(backbone, name, **options)
    own, shuffled = capture(tuned, pixels), capture(with_shuffled_block(tuned), pixels)
    assert not torch.allclose(own.logits, shuffled.logits)
    assert torch.equal(capture(tuned, pixels).logits, own.logits)
