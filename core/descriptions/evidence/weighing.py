"""Evidence about sentences as a whole: images drawn and encoded, each sentence weighed, the set beside its controls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.controls import controls
from core.descriptions.evidence.curve import curve as accuracy_by_number
from core.descriptions.evidence.gather import evidence_images, gather_scores, text_encoder
from core.descriptions.evidence.random_words import Draw, random_words
from core.descriptions.evidence.scores import Encode, SentenceScores, what_if
from core.descriptions.evidence.sentences import SentenceEvidence, summary_of, weigh_sentences
from core.descriptions.templates import class_template
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.tuning.feature_store import FeatureStore

Heard = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class Look:
    """How images are looked at. shots: None for all training images. curve: accuracy by number of sentences too."""

    backbone: str = "embedded"
    shots: int | None = 16
    seed: int = 1
    replacements: int = 999
    curve: bool = False
    modality: str | None = None
    template: str | None = None
    allow_leakage: bool = False


@dataclass(frozen=True)
class OpenSentences:
    """Sentences and images encoded and ready: what evidence is taken from and edits are tried on.

    images: those drawn, in the order of `scores.images`. encode: for changed sentences. draw: of random sentences.
    """

    descriptions: DescriptionSet
    image_set: ImageSet
    backbone: Backbone
    images: tuple[LabelledImage, ...]
    scores: SentenceScores
    encode: Encode
    draw: Draw

    def what_if(self, class_name: str, index: int, text: str | None) -> dict[str, Any]:
        """What an edit of one sentence does to zero-shot on these images; see `scores.what_if`. Nothing is changed."""
        return what_if(self.scores, class_name, index, text, self.encode)[0]


def open_on(
    image_set: ImageSet,
    descriptions: DescriptionSet,
    look: Look,
    home: Path,
    heard: Heard = lambda *_: None,
    *,
    folders: bool = True,
) -> OpenSentences:
    """Draw images as `train` does, and encode what is not known yet. folders: whether a backbone may be one.

    Raises TooFewImages, Leakage, ClassMismatch, NotFound, NotAllowed, Unavailable.
    """
    descriptions = descriptions.for_classes(image_set.classes)
    images = evidence_images(image_set, look.shots, look.seed, look.allow_leakage)
    backbone = load_backbone(look.backbone, home=home, folders=folders)
    store = FeatureStore(home / "cache" / "features.sqlite")
    scores = gather_scores(
        backbone, image_set.classes, images, descriptions, store, lambda done, total: heard("images", done, total)
    )
    draw = random_words(backbone, store, look.seed)
    return OpenSentences(descriptions, image_set, backbone, images, scores, text_encoder(backbone, store), draw)


def weigh_open(
    ready: OpenSentences, look: Look, heard: Heard = lambda *_: None
) -> tuple[list[SentenceEvidence], dict[str, Any]]:
    """One row a sentence, and the summary with the controls, JSON-ready. Raises InvalidOption."""
    started = time.monotonic()
    scores = ready.scores
    rows = weigh_sentences(scores, ready.draw, look.replacements, lambda done, n: heard("sentences", done, n))
    template = class_template(look.modality or ready.image_set.modality, look.template)
    heard("controls", 0, 0)
    summary = {
        "descriptions": ready.descriptions.source,
        "images": ready.image_set.name,
        "backbone": ready.backbone.name,
        "shots": look.shots,
        "seed": look.seed,
        **summary_of(rows, scores),
        "controls": controls(scores, ready.draw, ready.encode, template=template, seed=look.seed),
    }
    if look.curve:
        summary["curve"] = accuracy_by_number(
            scores,
            ready.draw,
            replacements=look.replacements,
            seed=look.seed,
            progress=lambda done, n: heard("curve", done, n),
        )
    return rows, summary | {"notes": _notes(ready), "seconds": round(time.monotonic() - started, 1)}


def _notes(ready: OpenSentences) -> list[str]:
    learned = sorted(set(ready.image_set.classes) & set(ready.backbone.known_classes))
    notes = []
    if learned:
        notes.append(
            f"The text side of '{ready.backbone.name}' has learned {', '.join(learned)} from labelled images, so that "
            "even a bare name does well there."
        )
    if ready.scores.images.units.kind == "images":
        notes.append("No patients are known: each image counts as one.")
    return notes
