"""Every method is explained, or says why not. Found, not listed: new ones too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import Unavailable
from core.explain.classifier import check_reads_backbone, pixels_of
from core.explain.explain import explain_image
from core.explain.randomised import redrawn_blocks, with_blocks
from core.tuning.classifier import Classifier
from core.tuning.registry import get_method
from tests.core.tuning.test_every_method import CLASSES, METHODS, build, data_for


def classifier_of(name: str) -> Classifier:
    """A method with its starting values, or what it fits directly."""
    method = build(name)
    fitted = data_for(method)
    if method.trains_by_steps:
        method.prepare(fitted)
    else:
        method.fit_directly(fitted)
    return Classifier(method, {"temperature": 1.0}, Path("model"))


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (80, 80, 3), dtype=np.uint8))


def reason(classifier: Classifier) -> str | None:
    try:
        check_reads_backbone(classifier)
    except Unavailable as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_maps_and_tests_of_them_or_says_why_not(name: str) -> None:
    classifier = classifier_of(name)
    found = explain_image(classifier, picture(), class_name=CLASSES[1])
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    if why := reason(classifier):
        assert found.maps == []
        assert found.notes == [f"There are no maps. {why}"]
        assert classifier.method.title in why
        return
    assert len(found.maps) > 1
    last = found.trust["maps"][0]["randomised"][-1]
    assert last["blocks"] == classifier.backbone.image_layers
    assert last["correlation"] is None or last["correlation"] < 0.999


@pytest.mark.parametrize("name", METHODS)
def test_a_random_tower_changes_the_answer_of_its_own_copy_alone(name: str) -> None:
    classifier = classifier_of(name)
    if why := reason(classifier):
        pytest.skip(why)
    pixels = pixels_of(classifier, picture())
    before = classifier.logits_from_pixels(pixels).detach()
    other = with_blocks(classifier, redrawn_blocks(classifier, seed=0), classifier.backbone.image_layers)
    assert not torch.allclose(other.logits_from_pixels(pixels), before, atol=1e-4)
    torch.testing.assert_close(classifier.logits_from_pixels(pixels).detach(), before)


@pytest.mark.parametrize("name", METHODS)
def test_one_vector_stands_for_each_picture(name: str) -> None:
    classifier = classifier_of(name)
    found = classifier.features([picture(seed) for seed in range(3)])
    vectors = classifier.method.picture_vectors(found)
    assert vectors.ndim == 2
    assert len(vectors) == 3
    assert bool((vectors.norm(dim=-1) > 0).all())


def test_the_pooled_feature_or_the_mean_of_several_stands_for_a_picture() -> None:
    for name in METHODS:
        if not get_method(name).answers_from:
            continue
        method = classifier_of(name).method
        features = method.encode_images(torch.randn(2, 3, 64, 64)).detach()
        if features.ndim == 3:
            vectors = method.picture_vectors(features)
            assert any(torch.equal(vectors, chosen) for chosen in (features[:, 0], features.mean(dim=1)))
