"""Evidence about saved sentences or a file of them, from the images that a training draws."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from app.services.description_tasks import get_task
from app.services.descriptions import find_description_set
from app.services.image_sets import get_image_set, load_image_set
from app.services.incoming_images import refuse_choice
from app.services.packs import pack_meant
from app.services.training import check_numbers
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import read_descriptions
from core.descriptions.templates import checked_template
from core.errors import Conflict, NotFound
from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.settings import Settings

if TYPE_CHECKING:
    from core.descriptions.evidence.sentences import SentenceEvidence
    from core.descriptions.evidence.weighing import Look, OpenSentences

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

    def look(self) -> Look:
        """How the images are looked at."""
        from core.descriptions.evidence.weighing import Look

        return Look(**{each.name: getattr(self, each.name) for each in fields(Look)})


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
    from core.descriptions.evidence.weighing import open_on

    return open_on(image_set, descriptions, asked.look(), settings.home, heard)


def weigh(settings: Settings, asked: EvidenceRequest, opened: Opened, heard: Heard = silent) -> Evidence:
    """Evidence about each sentence, with the controls of the set. Raises as `open_sentences`, and InvalidOption."""
    from core.descriptions.evidence.weighing import weigh_open

    started = time.monotonic()
    ready = open_sentences(settings, asked, opened, heard)
    rows, summary = weigh_open(ready, asked.look(), heard)
    return Evidence(ready, rows, summary | {"seconds": round(time.monotonic() - started, 1)})


def task_report(ctx: Context, set_id: str, task_id: str) -> tuple[str, str]:
    """(name, HTML) of the report of a finished task, with pictures; see `core.descriptions.evidence.report`.

    Made when it is asked for: it holds small copies of training images. Raises NotFound, also where the images were
    deleted since, and Conflict where the task is not done.
    """
    from core.descriptions.evidence.sentences import SentenceEvidence
    from core.descriptions.evidence.weighing import Look, open_on

    task = get_task(ctx, set_id, task_id)
    if not task["result"] or "sentences" not in task["result"]:
        raise Conflict("Evidence that is gathered", "this task has no result", "Wait for its end, or try it again.")
    if task["image_set"] is None:
        raise NotFound("The images of the evidence", "they were deleted", "Gather it again on other images.")
    asked, result = task["request"], task["result"]
    texts = {name: tuple(found) for name, found in asked["sentences"].items()}
    look = Look(**{each.name: asked[each.name] for each in fields(Look) if each.name in asked})
    image_set = load_image_set(ctx, task["image_set"]["id"])
    described = DescriptionSet(texts, asked["source"])
    opened = open_on(image_set, described, look, ctx.settings.home, folders=ctx.settings.allow_folders)
    known = {each.name for each in fields(SentenceEvidence)}
    rows = [
        SentenceEvidence(**{name: each for name, each in (row | {"class_name": row["class"]}).items() if name in known})
        for row in result["sentences"]
    ]
    return f"{task['description_set']['name']}-evidence.html", Evidence(opened, rows, result["summary"]).report()


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
