"""From an image set and a description set to scores that evidence is taken from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.scores import Encode, SentenceScores
from core.errors import Leakage
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.leakage import find_leaks
from core.images.shots import draw_shots
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features, text_features


def evidence_images(
    image_set: ImageSet, shots: int | None, seed: int, allow_leakage: bool = False
) -> tuple[LabelledImage, ...]:
    """The images that a training with these shots and this seed draws, and its validation images; never test images.

    Raises TooFewImages, and Leakage where the test part shares images or groups with them and that is not allowed:
    sentences chosen here would have been chosen on test images.
    """
    leaks = [] if allow_leakage else find_leaks(image_set)
    if leaks:
        named = "; ".join(f"{leak.file}: {leak.found}" for leak in leaks[:3])
        raise Leakage(
            "Training and test part share no image and no patient, or sentences would be chosen on test images",
            f"{len(leaks)} do ({named})",
            "Remove them, or allow leakage knowing that later metrics are then too good.",
        )
    draw = draw_shots(image_set, shots, seed)
    return (*draw.train, *draw.validation)


def text_encoder(backbone: Backbone, store: FeatureStore) -> Encode:
    """Texts to unit features on a backbone, read from the store where they are known."""
    return lambda texts: text_features(backbone, texts, store).cpu().numpy().astype(np.float64)


def gather_scores(
    backbone: Backbone,
    classes: tuple[str, ...],
    images: Sequence[LabelledImage],
    descriptions: DescriptionSet,
    store: FeatureStore,
    progress: Callable[[int, int], None] | None = None,
) -> SentenceScores:
    """Scores of these sentences on these images, with and without names. Raises ClassMismatch for a class without.

    progress: called with (done, total) images.
    """
    features = image_features(backbone, images, store, progress=progress)[:, 0].cpu().numpy()
    labels, groups = [image.label for image in images], [image.group for image in images]
    evidence = EvidenceImages.of(features, labels, groups, len(classes))
    sentences = descriptions.for_classes(classes).sentences
    encode = text_encoder(backbone, store)
    return SentenceScores.of(evidence, sentences, encode, backbone.logit_scale).with_nameless(encode)
