"""Tasks of description sets, as they stand; and evidence from images, asked for as a task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.services.context import ACTOR, Context
from core.backbones.catalogue import find_folder
from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import checked_template
from core.errors import InvalidInput, NotFound
from core.records import audit, image_sets
from core.records import description_tasks as records
from core.records import descriptions as set_records
from core.records.description_tasks import EVIDENCE
from core.records.sentences import find_set, load_sentences
from core.text import fit_name, shown
from training_jobs import job_queue


@dataclass(frozen=True)
class EvidenceWish:
    """What is to be weighed, and on which images.

    image_set: id or name, the set's own unless said. version: of the sentences; without it as they stand now, as far as
    a version would hold them. shots: None for all training images. replacements: sentences of random words that each
    is held against. curve: accuracy by number of sentences too.
    """

    image_set: str | None = None
    version: int | None = None
    backbone: str = "embedded"
    shots: int | None = 16
    seed: int = 1
    replacements: int = 999
    curve: bool = False
    modality: str | None = None
    template: str | None = None
    allow_leakage: bool = False
    actor: str = ""


def start_evidence(ctx: Context, set_id: str, wish: EvidenceWish) -> dict[str, Any]:
    """Queue the weighing and give the task.

    Raises NotFound, InvalidInput, InvalidOption, NotAllowed, Unavailable, ClassMismatch for a class without sentence.
    """
    from app.services.training import check_numbers  # it loads NumPy, which writing sentences does without

    check_numbers(wish.shots, wish.seed)
    if wish.template:
        checked_template(wish.template)
    backbone, _ = find_folder(wish.backbone, ctx.home, folders=ctx.settings.allow_folders)
    actor = fit_name(wish.actor or ACTOR, "The name of who asks")

    def work(session: Session) -> str:
        row = find_set(session, set_id)
        given = wish.image_set or row.image_set_id
        if given is None:
            raise InvalidInput(
                "Evidence comes from an image set", f"'{shown(row.name, 60)}' has none", "Name the images."
            )
        images = image_sets.image_set_dict(session, image_sets.hold_image_set(session, given).id)
        described = _sentences(session, row.id, row.name, wish.version)
        described = described.for_classes(tuple(each["name"] for each in images["classes"]))
        request = asdict(wish) | {
            "backbone": backbone,
            "image_set": images["name"],
            "actor": actor,
            "source": described.source,
            "sentences": {name: list(texts) for name, texts in described.sentences.items()},
        }
        task_id = records.add_task(session, EVIDENCE, row.id, request, image_set_id=images["id"])
        job_queue.enqueue_task(session, task_id, EVIDENCE, f"{row.name}: evidence from {images['name']}"[:300])
        audit.add_audit_entry(session, actor, "weigh", "description_task", task_id)
        return task_id

    return get_task(ctx, set_id, ctx.db.write(work))


def list_tasks(
    ctx: Context, set_id: str, kind: str | None = None, limit: int = 50, offset: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """Tasks of a description set, newest first, and how many there are. Raises NotFound.

    Those about evidence are in short: without sentences and the curve, which `get_task` gives.
    """
    with ctx.db.reading() as session:
        find_set(session, set_id)
        found = records.list_tasks(session, set_id, kind, limit, offset)
        count = records.count_tasks(session, set_id, kind)
    return [_in_short(task) for task in found], count


def get_task(ctx: Context, set_id: str, task_id: str) -> dict[str, Any]:
    """A task with its result, counts of its parts and its job. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.task_dict(session, task_id, set_id)


def list_parts(
    ctx: Context, set_id: str, task_id: str, limit: int, offset: int, state: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Parts of a task: what was asked about each class, and what came back. Raises NotFound."""
    with ctx.db.reading() as session:
        records.find_task(session, task_id, set_id)
        counts = records.count_parts(session, task_id)
        parts = records.list_parts(session, task_id, state, limit, offset)
    return parts, counts[state] if state else sum(counts.values())


def _in_short(task: dict[str, Any]) -> dict[str, Any]:
    if task["kind"] != EVIDENCE:
        return task
    short = task | {"request": {name: each for name, each in task["request"].items() if name != "sentences"}}
    if task["result"]:
        summary = {name: each for name, each in task["result"]["summary"].items() if name != "curve"}
        short["result"] = {"summary": summary}
    return short


def _sentences(session: Session, set_id: str, name: str, version: int | None) -> DescriptionSet:
    """Those of a version, or those that a version of now would hold."""
    if version is not None:
        return set_records.load_descriptions(session, set_records.find_version(session, set_id, version).id)
    texts: dict[str, list[str]] = defaultdict(list)
    for each in load_sentences(session, set_id):
        if each.state != "rejected" and not each.planted:
            texts[each.class_name].append(each.text)
    if not texts:
        raise NotFound("Sentences of this set", f"'{shown(name, 60)}' has none", "Write or import some first.")
    return DescriptionSet({label: tuple(found) for label, found in texts.items()}, f"{name}, as it stood")
