"""Joint prediction of a folder with a trained model, beside each image's own answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from app.services.classification import NewImage, decoded_passes
from app.services.line import go_on
from core.images.labelled_image import digest
from core.tuning.classifier import Classifier
from core.tuning.scores import predict_logits
from core.tuning.transduction import check_pool, scarce_classes, transduce


def joint_predictions(classifier: Classifier, images: Sequence[NewImage]) -> tuple[list[dict[str, Any]], list[str]]:
    """`predictions` of a folder, each with what its neighbours make of it, and warnings in sentences.

    A row further holds transductive {label, probabilities, pool, pool_sha256}: valid for this folder only and not
    calibrated. Raises TooFewImages for a folder that is too small.
    """
    check_pool(len(images), len(classifier.classes))
    found = []
    for pictures in decoded_passes([image.path for image in images]):
        go_on()
        found.append(classifier.features(pictures))
    features = torch.cat(found)
    scores = predict_logits(classifier.method, features)
    given = scores.softmax(dim=-1)
    together = transduce(features, given)
    pool = {"pool": len(images), "pool_sha256": digest(sorted(image.sha256 for image in images))}
    rows = []
    for alone, values in zip(classifier.answers(features), together.tolist(), strict=True):
        joint = dict(zip(classifier.classes, values, strict=True))
        label = max(joint, key=lambda name: joint[name])
        rows.append({**alone, "transductive": {"label": label, "probabilities": joint, **pool}})
    scarce = [
        f"The model finds '{classifier.classes[label]}' in less than 2 % of these images: joint answers of this class "
        "start from images of others."
        for label in scarce_classes(given)
    ]
    return rows, scarce
