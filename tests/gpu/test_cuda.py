"""The same results on a CUDA device as on the CPU. Run with `-m gpu`; skipped visibly where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core import load_model, train
from core.backbones import load_backbone
from core.images.image_set import ImageSet
from core.tuning.registry import method_names
from tests.builders import session_folder, tiny_backbone, tiny_backbone_folder
from tests.core.tuning.conftest import disc_set as disc_set
from tests.core.tuning.test_every_method import quick_options

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_features_agree_with_the_cpu(precision: str) -> None:
    size = tiny_backbone().preprocessing.size
    pixels = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    known = tiny_backbone().encode_images_frozen(pixels)
    tower = load_backbone(tiny_backbone_folder(), device="cuda", precision=precision, home=session_folder() / "home")
    found = tower.encode_images_frozen(pixels.cuda()).cpu()
    assert float(torch.cosine_similarity(known, found).min()) > (0.99999 if precision == "fp32" else 0.999)


@pytest.mark.parametrize("name", method_names())
def test_a_method_trained_on_the_device_answers_there_and_on_the_cpu(
    name: str, disc_set: ImageSet, tmp_path: Path
) -> None:
    tower = load_backbone(tiny_backbone_folder(), device="cuda", precision="fp32", home=tmp_path)
    run = train(disc_set, name, backbone=tower, shots=3, home=tmp_path, options=quick_options(name))
    assert run.record["device"].startswith("cuda")
    paths = [image.path for image in disc_set.part("test")][:3]
    moved = load_model(run.record["model"], backbone=tiny_backbone()).predict(paths)
    for there, here in zip(run.model.predict(paths), moved, strict=True):
        assert here["probabilities"] == pytest.approx(there["probabilities"], abs=1e-3)
