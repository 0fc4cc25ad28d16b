"""Explanations on the embedded backbone: the whole, and its maps scored on drawn lesions."""

import numpy as np
import pytest
from PIL import Image

from core.explain.explain import explain_image
from tests.builders import embedded_backbone
from tests.core.explain.towers import head_classifier


def test_the_embedded_backbone_is_explained():
    backbone = embedded_backbone()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, size=(96, 96, 3), dtype=np.uint8))
    found = explain_image(head_classifier(backbone, vectors=4), picture)
    assert len(found.attention["layers"]) == backbone.image_layers
    assert {row["zero_vectors"] for row in found.what_if} == {0, 1, 2, 4, 8, 16}
    for row in found.attention["layers"]:
        assert row["zero_vectors"] + row["class_token"] + row["patches"] == pytest.approx(1, abs=1e-5)
    assert found.arrays["grad_cam"].shape == (14, 14)
    assert np.isnan(found.arrays["grad_cam"]).sum() == 4
