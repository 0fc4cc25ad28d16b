"""Sentences written by a language model: shown before anything is sent, then written by a job or in a terminal."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.services.context import ACTOR, Context
from app.services.description_tasks import get_task
from app.services.image_sets import checked_name
from core.descriptions.writing.messages import ClassRequest, checked_classes, checked_instructions
from core.descriptions.writing.order import Order, address_of, check_writer, estimated, model_name
from core.descriptions.writing.prompts import list_prompts, read_prompt
from core.descriptions.writing.similarity import checked_choice, most_similar
from core.errors import Conflict, InvalidInput, NotFound, PromptoscopeError
from core.images.image_set import ImageSet
from core.records import audit, image_sets
from core.records import description_tasks as records
from core.records import descriptions as set_records
from core.records.description_tasks import WRITE
from core.records.sentences import classes_of, find_set, load_sentences
from core.records.types import now
from core.text import fit_name, shown
from training_jobs import job_queue, writing

VISIBLE = "visible_features"
EMBEDDED = "embedded"
PAIRS_KEPT = 32
_pairs: OrderedDict[tuple[str, tuple[str, ...], str | None], dict[str, str]] = OrderedDict()
"""Most similar classes by backbone, classes and kind of image: found once for the preview and the start."""


@dataclass(frozen=True)
class Wish:
    """What a person wants written.

    classes: None takes all. n: sentences for each class, the prompt's own number unless said. similar: {class: the one
    it is told from}; the others are found by the text features of `backbone`. model: another one of the endpoint.
    folder: a model on this machine instead. fingerprint: of the preview that was seen; other texts are then not sent.
    """

    prompt: str = VISIBLE
    classes: Sequence[str] | None = None
    n: int | None = None
    instructions: str = ""
    modality: str | None = None
    similar: Mapping[str, str] = field(default_factory=dict)
    backbone: str = EMBEDDED
    model: str | None = None
    folder: str | None = None
    seed: int = 1
    actor: str = ""
    fingerprint: str | None = None


@dataclass(frozen=True)
class Target:
    """What is written about. set_id: None for a set that is still to be made, under this name."""

    set_id: str | None
    name: str
    image_set_id: str | None
    classes: tuple[str, ...]
    modality: str | None


def prompts(ctx: Context) -> list[dict[str, Any]]:
    """Prompts by name, those of the home folder among them; a damaged one with its `problem`."""
    return list_prompts(ctx.home)


def preview(ctx: Context, target: Target, wish: Wish, *, folders: bool | None = None) -> dict[str, Any]:
    """Exactly what would be sent, and what it would take; nothing is sent or recorded.

    {prompt, model, address, problem, classes: [{class, similar, n, messages}], requests, tokens_in, tokens_out, cost,
    fingerprint}. address: where it would go. problem: why nothing could be written now, such as that no model is
    configured. folders: whether the folder of a model may be named, as the settings say by default. Raises NotFound,
    InvalidInput, Unavailable.
    """
    order = _order(ctx, target, wish)
    requests = order.requests()
    model, problem = model_name(ctx.settings, order), None
    try:
        model = check_writer(ctx.settings, order, folders=_folders(ctx, folders))
    except PromptoscopeError as error:
        problem = error.sentence
    return {
        "prompt": order.prompt.as_dict(),
        "model": model,
        "address": address_of(ctx.settings, order),
        "problem": problem,
        "classes": [request.as_dict() for request in requests],
        "fingerprint": _fingerprint(requests),
        **estimated(requests, ctx.settings, local=order.folder is not None),
    }


def start(ctx: Context, target: Target, wish: Wish, *, folders: bool | None = None) -> dict[str, Any]:
    """Queue the writing and give the task. Raises as `preview`, InvalidOption without a model that could write, and
    Conflict where other texts would be sent than those of the preview."""
    return _add(ctx, target, wish, _folders(ctx, folders), queue=True)


def write_here(
    ctx: Context, target: Target, wish: Wish, *, on_class: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Write in this process and give the task with its result. on_class: gets each class that is recorded, as a part.

    What is recorded stays, whatever interrupts it. Raises as `start`, and PartsFailed where classes have no sentences.
    """
    return _write_here(ctx, _add(ctx, target, wish, True, queue=False), on_class)


def resume_here(ctx: Context, target: Target, *, on_class: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Go on with the newest writing that was begun by `write_here` and not finished: classes that have no sentences are
    asked about as it was ordered then. Raises NotFound where there is none, and as `write_here`."""
    with ctx.db.writing() as session:
        task_id = records.unfinished_task(session, target.set_id, WRITE) if target.set_id else None
        if task_id is None:
            raise NotFound(
                "A writing that was interrupted here",
                f"'{shown(target.name, 60)}' has none",
                "Begin one without --resume.",
            )
        records.wait_again(session, task_id, before=now())
        task = records.task_dict(session, task_id)
    return _write_here(ctx, task, on_class)


def _write_here(ctx: Context, task: dict[str, Any], on_class: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    class Terminal(writing.Listener):
        def ended(self, label: str, sentences: int, dropped: int, error: PromptoscopeError | None) -> None:
            with ctx.db.reading() as session:
                parts = records.list_parts(session, task["id"])
            on_class(next(part for part in parts if part["label"] == label))

    result = writing.WritingWork(ctx.db, ctx.settings, task["id"], Terminal(), folders=True).run()
    with ctx.db.writing() as session:
        records.finish_task(session, task["id"], result)
        audit.add_audit_entry(session, ACTOR, "finish", "description_task", task["id"])
    return get_task(ctx, task["description_set"]["id"], task["id"])


def target_of_set(ctx: Context, set_id: str) -> Target:
    """The description set as what is written about. Raises NotFound, InvalidInput where its classes are not known."""
    with ctx.db.reading() as session:
        row = find_set(session, set_id)
        classes = classes_of(session, row.id)
        if not classes:
            classes = list(dict.fromkeys(each.class_name for each in load_sentences(session, row.id)))
        images = image_sets.image_set_dict(session, row.image_set_id) if row.image_set_id else None
        target = Target(row.id, row.name, row.image_set_id, tuple(classes), images["modality"] if images else None)
    if not target.classes:
        raise InvalidInput(
            f"'{shown(target.name, 60)}' is about classes", "none is known", "Choose its image set, or add a sentence."
        )
    return target


def target_of(ctx: Context, name_or_images: str, set_name: str | None = None) -> Target:
    """What a name on the command line means: images at a path, else a description set, else an image set.

    set_name: of the description set for images, their own name unless said. Raises NotFound, UnreadableSource.
    """
    if os.path.exists(name_or_images):
        found = ImageSet.read(name_or_images)
        return _target_of_images(ctx, None, found.classes, found.modality, set_name or found.name)
    with ctx.db.reading() as session:
        named = set_records.ids_of_sets_called(session, name_or_images)
        images = image_sets.image_set_dict(session, name_or_images) if _is_image_set(session, name_or_images) else None
    if set_name is None and len(named) == 1:
        return target_of_set(ctx, named[0])
    if images is not None:
        classes = tuple(row["name"] for row in images["classes"])
        return _target_of_images(ctx, images["id"], classes, images["modality"], set_name or images["name"])
    raise NotFound(
        "A description set, an image set or a path",
        f"'{shown(name_or_images)}' is {'the name of several' if named else 'none'}",
        "List the description sets and image sets, and use an id.",
    )


def _is_image_set(session: Session, id_or_name: str) -> bool:
    try:
        image_sets.find_image_set(session, id_or_name)
    except NotFound:
        return False
    return True


def _order(ctx: Context, target: Target, wish: Wish) -> Order:
    prompt = read_prompt(wish.prompt, ctx.home)
    classes = _chosen(target.classes, wish.classes)
    modality = wish.modality or target.modality
    similar = checked_choice(wish.similar, target.classes)
    if prompt.needs_similar and not set(classes) <= similar.keys():
        similar = _most_similar(ctx, target.classes, modality, wish.backbone) | similar
    return Order(
        prompt=prompt,
        classes=classes,
        all_classes=checked_classes(target.classes),
        n=prompt.sentences if wish.n is None else wish.n,
        actor=fit_name(wish.actor or ACTOR, "The name of who asks"),
        modality=fit_name(modality, "A kind of image") if modality else None,
        instructions=checked_instructions(wish.instructions),
        similar={name: similar[name] for name in classes if name in similar} if prompt.needs_similar else {},
        model=wish.model or None,
        folder=wish.folder or None,
        seed=wish.seed,
    )


def _chosen(known: Sequence[str], asked: Sequence[str] | None) -> tuple[str, ...]:
    """Classes that are asked for, in the order of the set."""
    if not asked:
        return checked_classes(known)
    unknown = [name for name in asked if name not in known]
    if unknown:
        names = ", ".join(f"'{shown(name, 60)}'" for name in known[:20])
        raise InvalidInput(f"Classes of the set: {names}", f"'{shown(unknown[0], 60)}' is none", "Choose among them.")
    return checked_classes([name for name in known if name in asked])


def _most_similar(ctx: Context, classes: tuple[str, ...], modality: str | None, backbone: str) -> dict[str, str]:
    from core.backbones.loading import load_backbone

    key = (backbone, classes, modality)
    if key not in _pairs:
        loaded = load_backbone(backbone, home=ctx.home, folders=ctx.settings.allow_folders)
        _pairs[key] = most_similar(classes, loaded.encode_texts, modality)
        while len(_pairs) > PAIRS_KEPT:
            _pairs.popitem(last=False)
    return _pairs[key]


def _target_of_images(
    ctx: Context, image_set_id: str | None, classes: tuple[str, ...], modality: str | None, name: str
) -> Target:
    name = checked_name(name)
    with ctx.db.reading() as session:
        set_id = set_records.find_set_named(session, image_set_id, name)
    return Target(set_id, name, image_set_id, classes, modality)


def _add(ctx: Context, target: Target, wish: Wish, folders: bool, *, queue: bool) -> dict[str, Any]:
    order = _order(ctx, target, wish)
    check_writer(ctx.settings, order, folders=folders)
    requests = order.requests()
    if wish.fingerprint is not None and wish.fingerprint != _fingerprint(requests):
        raise Conflict(
            "The texts that were shown are those that are sent", "they are others by now", "Look at them again."
        )

    def work(session: Session) -> tuple[str, str]:
        if target.image_set_id:
            image_sets.hold_image_set(session, target.image_set_id)
        set_id = target.set_id or set_records.make_description_set(session, target.image_set_id, target.name)
        parts = [(request.class_name, request.as_dict()) for request in requests]
        task_id = records.add_task(session, WRITE, set_id, order.as_dict(), parts, image_set_id=target.image_set_id)
        if queue:
            job_queue.enqueue_task(session, task_id, WRITE, f"{target.name}: {order.prompt.title}"[:300])
        detail = {"description_set_id": set_id, "n_classes": len(parts)}
        audit.add_audit_entry(session, order.actor, "write", "description_task", task_id, detail)
        return set_id, task_id

    return get_task(ctx, *ctx.db.write(work))


def _fingerprint(requests: Sequence[ClassRequest]) -> str:
    """SHA-256 over all that would be sent."""
    whole = json.dumps([request.as_dict() for request in requests], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _folders(ctx: Context, folders: bool | None) -> bool:
    return ctx.settings.allow_folders if folders is None else folders
