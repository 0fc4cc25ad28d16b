"""Image sets: listed, looked at, exported and deleted. Nothing here decodes a picture; see `incoming_images`."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from core.disk import told_when_full
from core.errors import InvalidInput, NotFound
from core.images.image_set import ImageSet
from core.images.store import MEDIA_TYPES
from core.records import audit
from core.records import image_sets as records
from core.scratch import scratch_folder
from core.text import fit_name

ALL = 1_000_000


def list_image_sets(ctx: Context, limit: int = ALL, offset: int = 0) -> list[dict[str, Any]]:
    """Image sets without their problems, newest first."""
    with ctx.db.reading() as session:
        return records.list_image_sets(session, limit, offset)


def count_image_sets(ctx: Context) -> int:
    """How many image sets there are."""
    with ctx.db.reading() as session:
        return records.count_image_sets(session)


def list_problems(ctx: Context, id: str, limit: int = ALL, offset: int = 0) -> list[dict[str, str]]:
    """Files refused when a set was read, in the order of reading. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.list_problems(session, records.find_image_set(session, str(id)).id, limit, offset)


def count_problems(ctx: Context, id: str) -> int:
    """How many files `list_problems` has over all pages. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.count_problems(session, records.find_image_set(session, str(id)).id)


def get_image_set(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """One image set. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.image_set_dict(session, str(id_or_name))


def load_image_set(ctx: Context, id_or_name: str) -> ImageSet:
    """The image set itself, for training on it. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.load_image_set(session, str(id_or_name), ctx.settings.images_dir)


def list_images(
    ctx: Context,
    id: str,
    class_name: str | None = None,
    part: str | None = None,
    offset: int = 0,
    limit: int = 60,
) -> list[dict[str, Any]]:
    """Images of a set in file order, a page at a time. Raises NotFound, InvalidInput for an unknown part."""
    with ctx.db.reading() as session:
        found = records.find_image_set(session, str(id))
        return records.list_images(session, found.id, class_name=class_name, part=part, offset=offset, limit=limit)


def count_images(ctx: Context, id: str, class_name: str | None = None, part: str | None = None) -> int:
    """How many images `list_images` has over all pages."""
    with ctx.db.reading() as session:
        found = records.find_image_set(session, str(id))
        return records.count_images(session, found.id, class_name=class_name, part=part)


def get_image(ctx: Context, image_id: str) -> dict[str, Any]:
    """One image's record. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.image_dict(session, str(image_id))


def image_file(ctx: Context, image_id: str) -> tuple[Path, str]:
    """The stored file and its media type. Raises NotFound."""
    with ctx.db.reading() as session:
        stored = records.stored_file(session, str(image_id))
    return existing_file(ctx, stored.file)


def mask_file(ctx: Context, image_id: str) -> tuple[Path, str]:
    """The lesion mask and its media type. Raises NotFound where the image has none."""
    with ctx.db.reading() as session:
        stored = records.stored_file(session, str(image_id))
    if stored.mask is None:
        raise NotFound("An image with a lesion mask", "this one has none", "Only drawn phantoms have masks.")
    return existing_file(ctx, stored.mask)


def delete_image_set(ctx: Context, id: str) -> dict[str, Any]:
    """Delete a set and the files only it had. Raises NotFound, Conflict while a job uses it."""
    deleted: list[str] = []

    def work(session: Session) -> list[str]:
        deleted[:] = [records.find_image_set(session, str(id)).id]
        paths = records.delete_image_set(session, deleted[0])
        audit.add_audit_entry(session, ACTOR, "delete", "image_set", deleted[0])
        return paths

    contents.remove(ctx, work)
    return {"deleted": deleted[0]}


def checked_name(name: str) -> str:
    """A name in NFC without spaces around it. Raises InvalidInput for an empty, long or unfit one."""
    return fit_name(name)


def existing_file(ctx: Context, file: str) -> tuple[Path, str]:
    """A file of the image store and its media type. Raises NotFound if it is gone."""
    path = ctx.settings.images_dir / file
    if not path.is_file():
        raise missing_file()
    return path, MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


def missing_file() -> NotFound:
    """The error where a row's file is gone."""
    return NotFound("A stored file", "it is missing from the image store", "Restore the home folder from a backup.")


def export_image_set(ctx: Context, id_or_name: str, out: Path) -> dict[str, Any]:
    """Write a stored set as `<part>/<class>/<file>` into a zip (a name ending in .zip) or a new folder.

    Returns {name, n_images, path}. Raises NotFound, InvalidInput if the target exists.
    """
    found = load_image_set(ctx, id_or_name)
    if out.exists():
        raise InvalidInput("A new file or folder to export to", f"'{out}' exists", "Choose another name.")
    members = _export_names(found)
    out.parent.mkdir(parents=True, exist_ok=True)
    with told_when_full(), scratch_folder(out.parent, f".{out.name}-") as draft:
        whole = draft / "export"
        _write_export(members, whole, is_zip=out.suffix.lower() == ".zip")
        os.replace(whole, out)
    return {"name": found.name, "n_images": len(members), "path": str(out)}


def _write_export(members: list[tuple[Path, str]], out: Path, is_zip: bool) -> None:
    if is_zip:
        with zipfile.ZipFile(out, "x", zipfile.ZIP_STORED) as archive:
            for path, member in members:
                archive.write(path, member)
        return
    for path, member in members:
        target = out / member
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _export_names(found: ImageSet) -> list[tuple[Path, str]]:
    """Stored file and member name of each image; names are ours where the sender's would collide."""
    taken: set[str] = set()
    rows: list[tuple[Path, str]] = []
    for image in found.images:
        stem, suffix = Path(image.name).stem, image.path.suffix
        place = f"{image.part}/{_folder_name(found.classes[image.label])}"
        member = f"{place}/{stem}{suffix}"
        if member.casefold() in taken:
            member = f"{place}/{stem}-{image.sha256[:12]}-{len(rows)}{suffix}"
        taken.add(member.casefold())
        rows.append((image.path, member))
    return rows


def _folder_name(class_name: str) -> str:
    return class_name.replace("/", "_").replace("\\", "_")
