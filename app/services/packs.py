"""Built-in packs of descriptions: listed, offered to image sets whose classes fit, and found by name."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from app.services.descriptions import save_version
from core.descriptions.packs import PREFIX, Pack, find_pack, fitting, get_pack, packs
from core.records import descriptions, image_sets


def list_packs() -> list[dict[str, Any]]:
    """All packs: [{name, title, modality, status, note, licence, classes, sentences}], sentences being their number."""
    return [pack.as_dict() for pack in packs()]


def fitting_packs(ctx: Context, image_set_id: str) -> list[dict[str, Any]]:
    """The same for those that describe every class of an image set (id or name) on such pictures, the closest first.

    Raises NotFound.
    """
    classes, pictures = _classes(ctx, image_set_id)
    return [pack.as_dict() for pack in fitting(classes, pictures)]


def pack_sentences(ctx: Context, name: str, image_set_id: str | None = None) -> dict[str, Any]:
    """A pack with its sentences, under the class names of an image set where one is given.

    The entry `sentences` is {class: [sentence]} here, ready to be saved as a version. Raises NotFound, ClassMismatch.
    """
    pack = get_pack(name)
    texts = pack.descriptions if image_set_id is None else pack.for_classes(_classes(ctx, image_set_id)[0])
    sentences = {label: list(found) for label, found in texts.sentences.items()}
    return pack.as_dict() | {"classes": list(sentences), "sentences": sentences, "source": pack.source}


def pack_meant(ctx: Context, text: str) -> Pack | None:
    """The pack that a name means: always with `pack:` before it, else unless a stored description set is called so.

    Raises NotFound for `pack:` and no such pack.
    """
    if text.startswith(PREFIX):
        return get_pack(text)
    with ctx.db.reading() as session:
        taken = descriptions.ids_of_sets_called(session, text)
    return None if taken else find_pack(text)


def import_pack(ctx: Context, name: str, image_set_id: str, called: str | None, author: str) -> dict[str, Any]:
    """Save a pack's sentences as a version for an image set. Raises NotFound, ClassMismatch."""
    found = pack_sentences(ctx, name, image_set_id)
    who = author or f"{found['source']} ({found['status']})"
    return save_version(ctx, image_set_id, called or found["name"], found["sentences"], who, found["source"])


def shadowing_note(text: str, what: str) -> str | None:
    """A sentence for a name that a pack bears as well; None where there is nothing to tell apart.

    what: that which is meant, as "the file".
    """
    pack = None if text.startswith(PREFIX) else find_pack(text)
    if pack is None:
        return None
    return f"'{text}' is read as {what} of this name; write {pack.source} for the built-in pack."


def _classes(ctx: Context, image_set_id: str) -> tuple[list[str], str]:
    """Names of the classes, and what the pictures are."""
    with ctx.db.reading() as session:
        found = image_sets.image_set_dict(session, image_sets.find_image_set(session, str(image_set_id)).id)
    return [row["name"] for row in found["classes"]], found["modality"] or found["name"]
