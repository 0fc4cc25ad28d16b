"""Image sets: added from a folder, an upload or the demo, listed, looked at, checked and deleted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from app.services import contents
from app.services.contents import THUMBNAIL_SIZES_PX
from app.services.context import Context
from core.disk import told_when_full
from core.errors import Conflict, InvalidInput, InvalidOption, NotFound
from core.images import check as checks
from core.images.check import check_images
from core.images.columns import ColumnChoice
from core.images.decode import MEDIA_TYPES
from core.images.image_set import ImageSet
from core.images.limits import Limits, megabytes
from core.images.masks import mask_path
from core.images.phantoms import make_phantoms
from core.images.read import read_image_set, read_uploaded_files
from core.images.recognition import recognise
from core.images.store import Staging
from core.images.thumbnail import thumbnail as small_copy
from core.records import audit
from core.records import image_sets as records
from core.scratch import scratch_folder
from core.text import NAME_LENGTH, fit_name, fit_text

DEMO_NAME = "Demo: drawn phantoms"
DEMO_SEED = 1
ACTOR = "owner"
ALL = 1_000_000


def add_from_path(
    ctx: Context, path: str | Path, name: str, modality: str | None = None, choice: ColumnChoice | None = None
) -> dict[str, Any]:
    """Add a folder, zip, manifest, split file or .npz of this machine; its files are copied into the store.

    choice: columns of a table that a person chose instead of the recognised ones.
    """
    name, modality = checked_name(name), _checked_modality(modality)
    with ctx.store.staging() as staged:
        found = read_image_set(Path(path), name, store_dir=staged.folder, modality=modality, choice=choice)
        return _record(ctx, found, staged, "folder")


def add_upload(
    ctx: Context,
    files: Iterable[tuple[str, BinaryIO]],
    name: str,
    modality: str | None = None,
    choice: ColumnChoice | None = None,
) -> dict[str, Any]:
    """Add what a browser sent: one zip, or files whose names say part and class.

    files: (sender's relative name, binary stream). Files that cannot be used stand in "problems"; raises
    UnreadableSource if none is left.
    """
    name, modality = checked_name(name), _checked_modality(modality)
    with ctx.store.staging() as staged:
        found = read_uploaded_files(list(files), name, store_dir=staged.folder, modality=modality, choice=choice)
        return _record(ctx, found, staged, "upload")


def recognise_columns(
    names: str, tables: Iterable[tuple[str, BinaryIO]], choice: ColumnChoice | None = None
) -> dict[str, Any]:
    """How files of these names would be read with these tables; see `core.images.recognition`.

    names: a JSON list of the relative names of all files, tables included or not. Raises InvalidInput for another
    shape and for tables above the limit.
    """
    try:
        listed = json.loads(names)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise InvalidInput("A JSON list of file names in the field 'names'", "found another shape", "Send the names.")
    most = Limits().max_text_bytes
    contents = {name: stream.read(most + 1) for name, stream in tables}
    large = [name for name, content in contents.items() if len(content) > most]
    if large:
        raise InvalidInput(f"Tables of at most {megabytes(most)}", "found a larger one", "Keep the needed columns.")
    return recognise(listed, contents, choice)


def add_demo(ctx: Context) -> dict[str, Any]:
    """Draw the demo set of phantoms with their lesion masks; the same one if it is there already."""
    if known := _demo(ctx):
        return known
    with scratch_folder(ctx.settings.unpacked_dir, "phantoms-") as folder, ctx.store.staging() as staged:
        make_phantoms(folder, seed=DEMO_SEED)
        found = read_image_set(folder, DEMO_NAME, store_dir=staged.folder)
        try:
            return _record(ctx, found, staged, "demo")
        except Conflict:  # somebody else asked for it in the same moment
            if known := _demo(ctx):
                return known
            raise


def _demo(ctx: Context) -> dict[str, Any] | None:
    with ctx.db.reading() as session:
        known = records.demo_set_id(session)
    return get_image_set(ctx, known) if known else None


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
    return _existing(ctx, stored.file)


def mask_file(ctx: Context, image_id: str) -> tuple[Path, str]:
    """The lesion mask and its media type. Raises NotFound where the image has none."""
    with ctx.db.reading() as session:
        stored = records.stored_file(session, str(image_id))
    if stored.mask is None:
        raise NotFound("An image with a lesion mask", "this one has none", "Only drawn phantoms have masks.")
    return _existing(ctx, stored.mask)


def thumbnail(ctx: Context, image_id: str, size_px: int = 160) -> tuple[Path, str]:
    """A PNG whose longer side is about size_px, made when first asked for and kept by content.

    Sizes are rounded up to one of THUMBNAIL_SIZES_PX, so that the cache stays small. Raises NotFound.
    """
    stored, target, size = _thumbnail_place(ctx, image_id, size_px)
    if not target.exists():
        source, _ = _existing(ctx, stored.file)
        _write_thumbnail(ctx, source, target, size)
        _forget_if_deleted(ctx, stored.image_id, target)
    return target, "image/png"


def kept_thumbnail(ctx: Context, image_id: str, size_px: int = 160) -> tuple[Path, str] | None:
    """The same if it was made before, else None: nothing is decoded here. Raises NotFound."""
    _, target, _ = _thumbnail_place(ctx, image_id, size_px)
    return (target, "image/png") if target.exists() else None


def _forget_if_deleted(ctx: Context, image_id: str, target: Path) -> None:
    """Remove a small picture whose image was deleted while it was drawn. Raises NotFound then.

    A deletion that comes after this look finds the picture on the disk and removes it.
    """
    try:
        with ctx.db.reading() as session:
            records.stored_file(session, image_id)
    except NotFound:
        target.unlink(missing_ok=True)
        raise


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


def check_image_set(
    ctx: Context | None, path_or_name: str | Path, choice: ColumnChoice | None = None
) -> dict[str, Any]:
    """Every problem of a path or a stored set, and a summary whose "ok" says whether it can be used.

    Returns {name, problems: [{file, problem, expected, found}], summary}; leaks between training and test part are
    problems. Without a context only paths are known. Raises NotFound.
    """
    if os.path.exists(path_or_name):
        problems, summary = check_images(Path(path_or_name), choice=choice)
    elif ctx is not None:
        refuse_choice(choice)
        problems, summary = checks.check_image_set(load_image_set(ctx, str(path_or_name)))
    else:
        raise NotFound("A file or folder of images", f"there is none at '{path_or_name}'", "Check the path.")
    return {"name": str(path_or_name), "problems": [p.as_dict() for p in problems], "summary": summary}


def refuse_choice(choice: ColumnChoice | None) -> None:
    """Raises InvalidOption where a column is chosen for a stored set: its table was read when it was added."""
    if choice is not None and choice != ColumnChoice():
        raise InvalidOption(
            "A column is chosen while a folder, zip or table is read",
            "a stored set was named, whose table was read when it was added",
            "Leave the column out, or add the images again with it.",
        )


def checked_name(name: str) -> str:
    """A name in NFC without spaces around it. Raises InvalidInput for an empty, long or unfit one."""
    return fit_name(name)


def _checked_modality(modality: str | None) -> str | None:
    return fit_text(modality, "A modality", longest=NAME_LENGTH) if modality else None


def _record(ctx: Context, found: ImageSet, staged: Staging, source: records.Source) -> dict[str, Any]:
    masks = _masks(found, staged)
    settled = replace(found, images=tuple(replace(each, path=staged.targets[each.path]) for each in found.images))

    def work(session: Session) -> str:
        set_id = records.add_image_set(
            session, settled, source=source, store=ctx.settings.images_dir, drawn=source == "demo", masks=masks
        )
        audit.add_audit_entry(session, ACTOR, "add", "image_set", set_id, {"n_images": len(found.images)})
        return set_id

    return get_image_set(ctx, contents.record(ctx, staged, work))


def _masks(found: ImageSet, staged: Staging) -> dict[str, tuple[str, Path]]:
    """Image name -> (SHA-256, path in the store) of the lesion masks that were read with the images."""
    paths = {image.name: path for image in found.images if (path := mask_path(image))}
    return {name: (_sha256(path), staged.targets[path]) for name, path in paths.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _thumbnail_place(ctx: Context, image_id: str, size_px: int) -> tuple[records.StoredFile, Path, int]:
    size = next((known for known in THUMBNAIL_SIZES_PX if known >= size_px), THUMBNAIL_SIZES_PX[-1])
    with ctx.db.reading() as session:
        stored = records.stored_file(session, str(image_id))
    return stored, ctx.thumbnail_file(stored.sha256, size), size


def _existing(ctx: Context, file: str) -> tuple[Path, str]:
    path = ctx.settings.images_dir / file
    if not path.is_file():
        raise _missing()
    return path, MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


def _missing() -> NotFound:
    return NotFound("A stored file", "it is missing from the image store", "Restore the home folder from a backup.")


def _write_thumbnail(ctx: Context, source: Path, target: Path, size_px: int) -> None:
    try:
        picture = small_copy(source, size_px)
    except FileNotFoundError:
        raise _missing() from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with told_when_full(), scratch_folder(ctx.drafts_dir) as folder:
        draft = folder / target.name
        draft.write_bytes(picture)
        os.replace(draft, target)


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
