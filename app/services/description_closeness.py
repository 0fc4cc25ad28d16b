"""Checks of descriptions that need a text tower: which class a sentence lies near to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.descriptions.description_set import DescriptionSet


def check_closeness(
    sentences: Mapping[str, Sequence[str]], backbone: str, home: Path, pictures: str | None = None
) -> list[dict[str, str]]:
    """Findings near_other_class and outlier: [{class, sentence, finding, detail}]. Raises NotFound, Unavailable.

    Loads the backbone; features of sentences that were encoded before come from the home folder.
    """
    from core.backbones.loading import load_backbone
    from core.descriptions.findings.closeness import closeness_findings
    from core.descriptions.findings.naming import ClassNames
    from core.descriptions.packs import known_names
    from core.tuning.feature_store import FeatureStore
    from core.tuning.features import text_features

    texts = DescriptionSet({name: tuple(found) for name, found in sentences.items()}, "unsaved")
    every = [text for found in texts.sentences.values() for text in found]
    store = FeatureStore(home / "cache" / "features.sqlite")
    tower = load_backbone(backbone, home=home)
    names = ClassNames(list(sentences), known_names(list(sentences), pictures))
    features, neutral = (
        text_features(tower, found, store).cpu() for found in (every, [names.with_neutral_name(text) for text in every])
    )
    return [finding.as_dict() for finding in closeness_findings(texts, features, neutral)]
