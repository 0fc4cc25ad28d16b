"""Zero-shot's worked numbers."""

from __future__ import annotations

import torch
from torch.nn import functional

from core.descriptions.description_set import DescriptionSet
from core.tuning.contract import Task
from core.tuning.registry import get_method
from tests.builders import tiny_backbone

SENTENCES = {"glioma": ("a glioma.", "a round glioma."), "normal": ("a normal brain.", "nothing.", "all is well.")}


def zero_shot(ensemble: bool) -> torch.nn.Module:
    method = get_method("zero_shot")
    task = Task(tiny_backbone(), tuple(SENTENCES), DescriptionSet(SENTENCES, "test"))
    return method(method.Config(ensemble=ensemble), task)


def test_scores_are_the_scaled_cosines_with_the_template() -> None:
    backbone = tiny_backbone()
    image = functional.normalize(torch.randn(1, backbone.joint_width, generator=torch.Generator().manual_seed(1)))
    texts = backbone.encode_texts(["a photo of a glioma.", "a photo of a normal."])
    expected = backbone.logit_scale * functional.cosine_similarity(image, texts)
    torch.testing.assert_close(zero_shot(False).logits(image)[0], expected, atol=1e-4, rtol=0)


def test_the_ensemble_is_the_unit_mean_of_unit_features_of_any_number_of_sentences() -> None:
    found = zero_shot(True).class_features()
    for row, texts in zip(found, SENTENCES.values(), strict=True):
        units = [feature / feature.norm() for feature in tiny_backbone().encode_texts(list(texts))]
        mean = sum(units) / len(units)
        torch.testing.assert_close(row, mean / mean.norm(), atol=1e-5, rtol=0)
