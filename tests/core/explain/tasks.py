"""Classifiers of real methods, untrained, on any backbone: enough to explain how they see a picture."""

from __future__ import annotations

from pathlib import Path

import torch

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.tuning.classifier import Classifier
from core.tuning.contract import Task
from core.tuning.registry import get_method

NAMES = ("glioma", "meningioma", "normal")


def method_classifier(backbone: Backbone, name: str, **options) -> Classifier:
    """A method for three classes with its starting values, parameters slightly moved so that none is zero."""
    sentences = {c: (f"a scan of {c}.", f"{c} seen in a scan.") for c in NAMES}
    kind = get_method(name)
    method = kind(kind.Config.from_values(options), Task(backbone, NAMES, DescriptionSet(sentences, "test")))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    return Classifier(method, {"temperature": 2.0}, Path("model"))
