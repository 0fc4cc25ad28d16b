"""What the tests of explanations share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.tuning.classifier import Classifier
from tests.builders import tiny_backbone
from tests.core.explain.towers import BrightSpotBackbone, SpotHead, head_classifier


@pytest.fixture(params=["timm-bert", "clip-causal"])
def backbone(request):
    """Both image towers, tiny and random."""
    return tiny_backbone(request.param)


@pytest.fixture
def classifier(backbone):
    return head_classifier(backbone)


@pytest.fixture
def picture():
    """A textured picture, wider than high."""
    values = np.random.default_rng(0).integers(0, 255, size=(40, 60, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def pixels(backbone, picture):
    return backbone.preprocess(picture)[None]


@pytest.fixture
def spot_classifier():
    return Classifier(SpotHead(BrightSpotBackbone()), {"temperature": 1.0}, Path("spot"))
