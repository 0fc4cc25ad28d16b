"""Checks of descriptions that need a text tower: which class a sentence lies near to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.descriptions.description_set import DescriptionSet


def check_closeness(sentences: Mapping[str, Sequence[str]], backbone: str, home: Path) -> list[dict[str, str]]:
    """Findings near_other_class and outlier: [{class, sentence, finding, detail}]. Raises NotFound, Unavailable.

    Loads the backbone; features of sentences that were encoded before come from the home folder.
    """
    from core.backbones.loading import load_backbone
    from core.descriptions.findings.closeness import closeness_findings
    from core.tuning.feature_store import FeatureStore
    from core.tuning.features import text_features

    texts = DescriptionSet({name: tuple(found) for name, found in sentences.items()}, "unsaved")
    every = [text for found in texts.sentences.values() for text in found]
    store = FeatureStore(home / "cache" / "features.sqlite")
    features = text_features(load_backbone(backbone, home=home), every, store)
    return [finding.as_dict() for finding in closeness_findings(texts, features.cpu())]
