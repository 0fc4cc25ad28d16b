"""Evidence about saved sentences or a file of them, from the images that a training draws."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from app.services.descriptions import find_description_set
from app.services.image_sets import get_image_set, load_image_set
from app.services.incoming_images import refuse_choice
from app.services.packs import pack_meant
from app.services.training import check_numbers
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import read_descriptions
from core.descriptions.templates import checked_template, class_template
from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.settings import Settings

if TYPE_CHECKING:
    from core.backbones.contract import Backbone
    from core.descriptions.evidence.random_words import Draw
    from core.descriptions.evidence.scores import Encode, SentenceScores
    from core.descriptions.evidence.sentences import SentenceEvidence
    from core.images.labelled_image import LabelledImage

Opened = Callable[[], AbstractContextManager[Context]]
Heard = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class EvidenceRequest:
    """What is asked. descriptions: a file, a pack, or a saved set's name or id. images: a path, or a set's name or id.

    version: of the saved descriptions, the newest unless said. shots: None for all training images. curve: whether
    accuracy by number of sentences is wanted too. group, label: columns of the table at a path of images.
    """

    descriptions: str
    images: str
    version: int | None = None
    backbone: str = "embedded"
    shots: int | None = 16
    seed: int = 1
    replacements: int = 999
    curve: bool = False
    modality: str | None = None
    template: str | None = None
    allow_leakage: bool = False
    group: str | None = None
    label: str | None = None


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
        from core.descriptions.evidence.scores import what_if

        return what_if(self.scores, class_name, index, text, self.encode)[0]


@dataclass(frozen=True)
class Evidence:
    """The answer: one row a sentence, and the summary with the controls, JSON-ready."""

    opened: OpenSentences
    rows: list[SentenceEvidence]
    summary: dict[str, Any]

    def report(self) -> str:
        """One HTML file with pictures; see `core.descriptions.evidence.report`."""
        from core.descriptions.evidence.class_map import class_map
        from core.descriptions.evidence.report import evidence_report

        opened, curve = self.opened, self.summary.get("curve")
        return evidence_report(
            opened.scores, opened.images, self.rows, self.summary, curve=curve, class_map=class_map(opened.scores)
        )


def silent(what: str, done: int, total: int) -> None:
    """Hears nothing."""


def open_sentences(settings: Settings, asked: EvidenceRequest, opened: Opened, heard: Heard = silent) -> OpenSentences:
    """Read sentences and images, draw as `train` does, and encode what is not known yet.

    opened: opens the home's context; not called where both are files. Raises InvalidOption, NotFound, TooFewImages,
    Leakage, ClassMismatch, UnreadableSource, Unavailable.
    """
    check_numbers(asked.shots, asked.seed)
    if asked.template:
        checked_template(asked.template)
    image_set = _images(asked, opened)
    descriptions = _descriptions(asked, opened, image_set.classes).for_classes(image_set.classes)
    # torch is loaded here, after the refusals that need none
    from core.backbones.loading import load_backbone
    from core.descriptions.evidence.gather import evidence_images, gather_scores, text_encoder
    from core.descriptions.evidence.random_words import random_words
    from core.tuning.feature_store import FeatureStore

    images = evidence_images(image_set, asked.shots, asked.seed, asked.allow_leakage)
    backbone = load_backbone(asked.backbone, home=settings.home)
    store = FeatureStore(settings.home / "cache" / "features.sqlite")
    scores = gather_scores(
        backbone, image_set.classes, images, descriptions, store, lambda done, total: heard("images", done, total)
    )
    draw = random_words(backbone, store, asked.seed)
    return OpenSentences(descriptions, image_set, backbone, images, scores, text_encoder(backbone, store), draw)


def weigh(settings: Settings, asked: EvidenceRequest, opened: Opened, heard: Heard = silent) -> Evidence:
    """Evidence about each sentence, with the controls of the set. Raises as `open_sentences`, and InvalidOption."""
    from core.descriptions.evidence.controls import controls
    from core.descriptions.evidence.curve import curve
    from core.descriptions.evidence.sentences import summary_of, weigh_sentences

    started = time.monotonic()
    ready = open_sentences(settings, asked, opened, heard)
    scores = ready.scores
    rows = weigh_sentences(scores, ready.draw, asked.replacements, lambda done, n: heard("sentences", done, n))
    template = class_template(asked.modality or ready.image_set.modality, asked.template)
    heard("controls", 0, 0)
    summary = {
        "descriptions": ready.descriptions.source,
        "images": ready.image_set.name,
        "backbone": ready.backbone.name,
        "shots": asked.shots,
        "seed": asked.seed,
        **summary_of(rows, scores),
        "controls": controls(scores, ready.draw, ready.encode, template=template, seed=asked.seed),
    }
    if asked.curve:
        summary["curve"] = curve(
            scores,
            ready.draw,
            replacements=asked.replacements,
            seed=asked.seed,
            progress=lambda done, n: heard("curve", done, n),
        )
    summary |= {"notes": _notes(ready), "seconds": round(time.monotonic() - started, 1)}
    return Evidence(ready, rows, summary)


def _descriptions(asked: EvidenceRequest, opened: Opened, classes: tuple[str, ...]) -> DescriptionSet:
    if os.path.isfile(asked.descriptions):
        return read_descriptions(Path(asked.descriptions))
    with opened() as ctx:
        if pack := pack_meant(ctx, asked.descriptions):
            return pack.for_classes(classes)
        found = find_description_set(ctx, asked.descriptions, asked.version)
    texts = {name: tuple(sentences) for name, sentences in found["sentences"].items()}
    return DescriptionSet(texts, f"{found['name']}, version {found['version']}")


def _images(asked: EvidenceRequest, opened: Opened) -> ImageSet:
    choice = ColumnChoice(asked.group, asked.label)
    if os.path.exists(asked.images):
        return ImageSet.read(asked.images, modality=asked.modality, choice=choice)
    refuse_choice(choice)
    with opened() as ctx:
        return load_image_set(ctx, get_image_set(ctx, asked.images)["id"])


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
