"""How images come in: read from a folder, an upload or the demo and recorded as a set, or only looked through."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.image_sets import checked_name, get_image_set, load_image_set
from core.errors import Conflict, InvalidInput, InvalidOption, NotFound
from core.images import check as checks
from core.images.check import check_images
from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.images.limits import Limits, megabytes
from core.images.masks import mask_path
from core.images.phantoms import make_phantoms
from core.images.published import read_benchmark
from core.images.read import ReadOptions, read_image_set, read_uploaded_files
from core.images.recognition import recognise
from core.images.store import Staging
from core.records import audit
from core.records import image_sets as records
from core.scratch import scratch_folder
from core.text import NAME_LENGTH, fit_text, text_fault

DEMO_NAME = "Demo: drawn phantoms"
DEMO_SEED = 1


def add_from_path(
    ctx: Context,
    path: str | Path,
    name: str,
    modality: str | None = None,
    choice: ColumnChoice | None = None,
    *,
    published: str | None = None,
) -> dict[str, Any]:
    """Add a folder, zip, manifest, split file or .npz of this machine; its files are copied into the store.

    choice: columns of a table that a person chose instead of the recognised ones. published: the benchmark whose
    layout and class names the files are read by, see `core.images.published`. Raises InvalidOption, UnreadableSource.
    """
    name, modality = checked_name(name), _checked_modality(modality)
    with ctx.store.staging() as staged:
        if published is None:
            found = read_image_set(Path(path), name, store_dir=staged.folder, modality=modality, choice=choice)
        else:
            options: ReadOptions = {"store_dir": staged.folder, "choice": choice}
            options |= {"modality": modality} if modality else {}
            found = replace(read_benchmark(path, published, **options), name=name)
        return _record(ctx, found, staged, "folder")


def kept_from_path(ctx: Context, path: str | Path, published: str | None = None) -> dict[str, Any]:
    """The stored set with exactly the images at a path, added under a name made from the path where there is none.

    published: the benchmark that it is, which then names it. Raises UnreadableSource, InvalidOption.
    """
    path = Path(path)
    with ctx.store.staging() as staged:
        if published is None:
            found = read_image_set(path, _name_from(path), store_dir=staged.folder)
        else:
            found = read_benchmark(path, published, store_dir=staged.folder)
        with ctx.db.reading() as session:
            known = records.ids_of_fingerprint(session, found.fingerprint)
            name = _free_name(session, found.name)
        return get_image_set(ctx, known[0]) if known else _record(ctx, replace(found, name=name), staged, "folder")


def _name_from(path: Path) -> str:
    """What a path is called, without its ending; "images" where that is no name."""
    called = path.resolve()
    text = called.name if called.is_dir() else called.stem
    return text.strip()[:NAME_LENGTH] if text.strip() and not text_fault(text) else "images"


def _free_name(session: Session, name: str) -> str:
    tries = (f"{name[: NAME_LENGTH - 8]}-{number}" for number in count(2))
    return next(each for each in chain([name], tries) if not records.is_name_taken(session, each))


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
