"""Descriptions: the sentences about each class, previewed, saved in versions and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.image_sets import checked_name
from core.backbones.text_lengths import TextLengths
from core.descriptions.checks import check_descriptions
from core.descriptions.class_matching import for_classes_of_images
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import layout_of, read_descriptions
from core.descriptions.layouts.catalogue import find_layout
from core.descriptions.templates import template_descriptions
from core.errors import ClassMismatch, NotFound
from core.records import audit, image_sets
from core.records import descriptions as records
from core.records.sentences import pictures_of

EMBEDDED = "embedded"


def list_description_sets(
    ctx: Context, image_set_id: str | None = None, limit: int = 100, offset: int = 0
) -> list[dict[str, Any]]:
    """Description sets in short, by name; all, or those of one image set (id or name)."""
    with ctx.db.reading() as session:
        found = None if image_set_id is None else image_sets.find_image_set(session, str(image_set_id)).id
        return records.list_description_sets(session, found, limit, offset)


def count_description_sets(ctx: Context, image_set_id: str | None = None) -> int:
    """How many description sets `list_description_sets` has over all pages."""
    with ctx.db.reading() as session:
        found = None if image_set_id is None else image_sets.find_image_set(session, str(image_set_id)).id
        return records.count_description_sets(session, found)


def delete_description_set(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Delete a description set with all its versions. Raises NotFound, Conflict while runs were made with one."""
    found = find_description_set(ctx, id_or_name)["id"]

    def work(session: Session) -> list[str]:
        records.delete_description_set(session, found)
        audit.add_audit_entry(session, ACTOR, "delete", "description_set", found)
        return []

    contents.remove(ctx, work)
    return {"deleted": found}


def get_description_set(ctx: Context, id: str, version: int | None = None) -> dict[str, Any]:
    """One version of a description set, the newest unless said. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.description_set_dict(session, str(id), version)


def find_description_set(ctx: Context, id_or_name: str, version: int | None = None) -> dict[str, Any]:
    """The same, also by name where only one set has it. Raises NotFound."""
    with ctx.db.reading() as session:
        named = records.ids_of_sets_called(session, id_or_name)
    if len(named) != 1:
        raise NotFound(
            "A description set with this id or name",
            f"'{id_or_name}' is {'none' if not named else 'the name of several'}",
            "List the description sets and use an id.",
        )
    return get_description_set(ctx, named[0], version)


def template_preview(
    ctx: Context, image_set_id: str, modality: str | None = None, template: str | None = None
) -> dict[str, list[str]]:
    """The sentences a method gets for this image set when no descriptions are given: {class: [sentences]}."""
    with ctx.db.reading() as session:
        found = image_sets.image_set_dict(session, str(image_set_id))
    classes = [row["name"] for row in found["classes"]]
    made = template_descriptions(classes, modality or found["modality"], template or None)
    return {name: list(texts) for name, texts in made.sentences.items()}


def save_version(
    ctx: Context,
    image_set_id: str,
    name: str,
    sentences: Mapping[str, Sequence[str]] | None,
    author: str,
    source: str,
    based_on: int | None = None,
) -> dict[str, Any]:
    """Save sentences as the next version of the set with this name; the first one makes the set.

    Without sentences an empty set is made. Raises ClassMismatch if a class is missing or unknown, Conflict if somebody
    saved since `based_on`, or the empty set is there already.
    """
    name = checked_name(name)
    if sentences is None:
        return make_description_set(ctx, image_set_id, name, author)

    def work(session: Session) -> tuple[str, int]:
        found = image_sets.image_set_dict(session, image_sets.hold_image_set(session, str(image_set_id)).id)
        ordered = _for_classes(sentences, [row["name"] for row in found["classes"]])
        set_id, version = records.save_version(
            session, found["id"], name, ordered, author=author or ACTOR, source=source, based_on=based_on
        )
        audit.add_audit_entry(session, author or ACTOR, "save", "description_set", set_id, {"version": version})
        return set_id, version

    set_id, version = ctx.db.write(work)
    return get_description_set(ctx, set_id, version)


def make_description_set(ctx: Context, image_set_id: str, name: str, author: str = "") -> dict[str, Any]:
    """Make an empty set for an image set, for sentences that are still to be written. Raises NotFound, Conflict."""
    name = checked_name(name)

    def work(session: Session) -> str:
        found = image_sets.hold_image_set(session, str(image_set_id))
        set_id = records.make_description_set(session, found.id, name)
        audit.add_audit_entry(session, author or ACTOR, "add", "description_set", set_id)
        return set_id

    return get_description_set(ctx, ctx.db.write(work))


def import_file(
    ctx: Context, path: Path, image_set_id: str, name: str | None, author: str, layout: str | None = None
) -> dict[str, Any]:
    """Save the sentences of a file as a version for an image set. layout: as the file's ending says, unless given.

    other_classes: those of a file of many image sets that these images do not have. Raises NotFound, UnreadableSource,
    InvalidInput, ClassMismatch.
    """
    found = read_descriptions(path, layout)
    sentences, others = dict(found.sentences), list[str]()
    if find_layout(layout or layout_of(path.name)).assigned:
        # These files hold the classes of many image sets.
        with ctx.db.reading() as session:
            row = image_sets.image_set_dict(session, image_sets.find_image_set(session, image_set_id).id)
        sentences, others = for_classes_of_images(found, [each["name"] for each in row["classes"]])
    saved = save_version(ctx, image_set_id, name or path.stem, sentences, author, found.source)
    return saved | {"other_classes": others}


def check(ctx: Context, id: str, version: int | None = None, backbone: str = EMBEDDED) -> list[dict[str, str]]:
    """Findings in a saved version: [{class, sentence, finding, detail}].

    backbone: whose text tower the sentences must fit. Raises NotFound, Unavailable.
    """
    found = find_description_set(ctx, str(id), version)
    return check_sentences(found["sentences"], backbone, ctx.home, pictures_meant(ctx, found["id"]))


def pictures_meant(ctx: Context, set_id: str) -> str | None:
    """What the pictures are that a description set is for, in words; None where these are gone. Raises NotFound."""
    with ctx.db.reading() as session:
        return pictures_of(session, set_id)


def check_sentences(
    sentences: Mapping[str, Sequence[str]],
    backbone: str = EMBEDDED,
    home: Path | None = None,
    pictures: str | None = None,
) -> list[dict[str, str]]:
    """Findings in sentences that need not be saved: [{class, sentence, finding, detail}]. pictures: what they are."""
    texts = {name: tuple(found) for name, found in sentences.items()}
    found = check_descriptions(DescriptionSet(texts, "unsaved"), TextLengths(backbone, home), pictures=pictures)
    return [finding.as_dict() for finding in found]


def _for_classes(sentences: Mapping[str, Sequence[str]], classes: list[str]) -> dict[str, list[str]]:
    """Trimmed sentences in the order of the classes, empty lines left out."""
    unknown = sorted(set(sentences) - set(classes))
    if unknown:
        raise ClassMismatch(
            f"Sentences for the classes {', '.join(classes)}",
            f"found {', '.join(repr(name) for name in unknown)}",
            "Correct the spelling of the class names.",
        )
    kept = {name: tuple(" ".join(text.split()) for text in texts if text.strip()) for name, texts in sentences.items()}
    ordered = DescriptionSet(kept, "").for_classes(tuple(classes))
    return {name: list(texts) for name, texts in ordered.sentences.items()}
