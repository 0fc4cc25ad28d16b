"""Evidence about the sentences of a set, for a task: what was asked is weighed on the images of the home folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from core.images.image_set import ImageSet
from core.images.signature_store import kept_signatures
from core.records import image_sets
from core.records.description_tasks import Task
from core.records.session import Database
from core.settings import Settings
from training_jobs.patience import patiently

if TYPE_CHECKING:
    from core.descriptions.evidence.sentences import SentenceEvidence
    from core.descriptions.evidence.weighing import OpenSentences
    from core.images.labelled_image import LabelledImage


def weigh_task(
    database: Database, settings: Settings, task: Task, heard: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """{sentences: one row each with its nearest and farthest images, summary: with the controls}, JSON-ready.

    heard: called with what is done, how much of it and of how much; may raise to end the work. What it encodes is kept
    in the cache, so that the next attempt gets on faster. Raises what the engine raises, and NotFound where the images
    were deleted meanwhile.
    """
    from core.descriptions.description_set import DescriptionSet
    from core.descriptions.evidence.weighing import Look, open_on, weigh_open

    asked = task.request
    texts = {name: tuple(found) for name, found in asked["sentences"].items()}
    look = Look(**{each.name: asked[each.name] for each in fields(Look) if each.name in asked})
    image_set = patiently(lambda: _images(database, settings, task))
    with kept_signatures(settings.signatures_path):
        descriptions = DescriptionSet(texts, asked["source"])
        ready = open_on(image_set, descriptions, look, settings.home, heard, folders=settings.allow_folders)
        rows, summary = weigh_open(ready, look, heard)
    ids = patiently(lambda: _ids(database, task, image_set))
    return {"sentences": [row.as_dict() | _pictures(ready, row, ids) for row in rows], "summary": summary}


def _pictures(ready: OpenSentences, row: SentenceEvidence, ids: Mapping[LabelledImage, str]) -> dict[str, Any]:
    """{nearest, farthest}: images by id, with their class and cosine, so that a page can show them."""
    from core.descriptions.evidence.report import cosines_of, farthest, nearest

    cosines = cosines_of(ready.scores, row)

    def told(places: Sequence[int]) -> list[dict[str, Any]]:
        found = [(at, ready.images[at]) for at in places]
        return [
            {"image": ids.get(image), "class": ready.scores.classes[image.label], "cosine": float(cosines[at])}
            for at, image in found
        ]

    return {"nearest": told(nearest(ready.scores, row)), "farthest": told(farthest(ready.scores, row))}


def _ids(database: Database, task: Task, image_set: ImageSet) -> dict[LabelledImage, str]:
    with database.reading() as session:
        ids = image_sets.image_ids(session, str(task.image_set_id))
    return dict(zip(image_set.images, ids, strict=False))


def _images(database: Database, settings: Settings, task: Task) -> ImageSet:
    if task.image_set_id is None:
        raise NotFound("The images of the task", "they were deleted", "Choose other images and ask again.")
    with database.reading() as session:
        return image_sets.load_image_set(session, task.image_set_id, settings.images_dir)
