"""Classification: new images through a trained model, answers kept."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.line import go_on
from app.services.models import get_model, model_folder
from core.errors import UnreadableImage, UnreadableSource
from core.images.archive import RefusedFile, ZipSource, check_nested, printable
from core.images.decode import STORED_SUFFIX, decode_image
from core.images.file_kind import TABLE, is_picture, kind_of, suffix_of
from core.images.findings import Finding
from core.images.gate import PIXELS_AT_ONCE
from core.images.image_set import ImageSet
from core.images.labelled_image import Problem
from core.images.layout import plan_source
from core.images.limits import Limits
from core.images.masks import MASK_PROBLEMS, find_masks, lonely_mask, mask_problem
from core.images.medmnist import MedMnistSource
from core.images.reading import MOST_ARCHIVES, check_content, listed_folder
from core.images.refusal import MEND, remedy_for
from core.images.sent_file import true_suffix
from core.images.sheet import SHEET_SUFFIXES
from core.images.signature import sign
from core.images.source import FolderSource, Source, UploadSource
from core.images.store import FileStore, Staging
from core.images.windowing import Windowing
from core.records import audit, image_sets
from core.records import classifications as records

if TYPE_CHECKING:
    from PIL import Image

    from core.tuning.classifier import Classifier

IMAGES_PER_PASS = 32


@dataclass(frozen=True)
class NewImage:
    """One readable image sent for classification: the sender's name, where it is stored, and what its picture lacks."""

    name: str
    sha256: str
    path: Path
    width: int
    height: int
    windowing: Windowing | None = None
    findings: tuple[Finding, ...] = ()


def classify(ctx: Context, model_id: str, files: Iterable[tuple[str, BinaryIO]]) -> dict[str, Any]:
    """Classify images and keep them with the answers.

    files: (sender's name, stream) of images and zips of images. Raises NotFound for the model, UnreadableSource if
    no file is a readable image; otherwise unreadable ones stand in "problems".
    """
    model = get_model(ctx, model_id)
    with ctx.store.staging() as staged:
        images, problems = read_images(list(files), staged)
        if not images:
            raise nothing_readable(problems)
        with ctx.classifiers.using(model["id"], model["weights_sha256"], model_folder(ctx, model)) as classifier:
            answers = predictions(classifier, [image.path for image in images])
        return get_classification(ctx, _record(ctx, model["id"], images, answers, problems, staged))


def _record(
    ctx: Context,
    model_id: str,
    images: Sequence[NewImage],
    answers: Sequence[dict[str, Any]],
    problems: Sequence[Problem],
    staged: Staging,
) -> str:
    rows = [
        {
            "name": image.name,
            "sha256": image.sha256,
            "file": image_sets.path_in(ctx.settings.images_dir, staged.targets[image.path]),
            "width": image.width,
            "height": image.height,
            **image_sets.looked_at(image.windowing, image.findings),
        }
        for image in images
    ]

    def work(session: Session) -> str:
        ids = image_sets.add_loose_images(session, rows)
        answered = [{"image_id": id, **answer} for id, answer in zip(ids, answers, strict=True)]
        made = records.add_classification(session, model_id, answered, [p.as_dict() for p in problems])
        audit.add_audit_entry(session, ACTOR, "classify", "model", model_id, {"n_images": len(images)})
        return made

    return contents.record(ctx, staged, work)


def get_classification(ctx: Context, id: str) -> dict[str, Any]:
    """One classification with its images. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.classification_dict(session, str(id))


def list_classifications(
    ctx: Context, model_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Classifications without their images, newest first."""
    with ctx.db.reading() as session:
        return records.list_classifications(session, model_id, limit, offset)


def count_classifications(ctx: Context, model_id: str | None = None) -> int:
    """How many classifications `list_classifications` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_classifications(session, model_id)


def delete_classification(ctx: Context, id: str) -> dict[str, Any]:
    """Delete a classification, the images sent with it and their explanations. Raises NotFound.

    Image files that a set or another classification has too stay.
    """

    def work(session: Session) -> list[str]:
        paths = records.delete_classification(session, str(id))
        audit.add_audit_entry(session, ACTOR, "delete", "classification", str(id))
        return paths

    contents.remove(ctx, work)
    return {"deleted": str(id)}


def predictions(classifier: Classifier, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What a model says of stored images: label, probabilities, set, set_reason, abstain, outside."""
    rows: list[dict[str, Any]] = []
    for pictures in decoded_passes(paths):
        go_on()
        rows += classifier.answers(classifier.features(pictures))
    return rows


def decoded_passes(paths: Sequence[Path]) -> Iterator[list[Image.Image]]:
    """The pictures, some dozens at a time, fewer of large ones."""
    pictures: list[Image.Image] = []
    for path in paths:
        pictures.append(decode_image(path))
        if len(pictures) >= IMAGES_PER_PASS or sum(p.width * p.height for p in pictures) >= PIXELS_AT_ONCE:
            yield pictures
            pictures = []
    if pictures:
        yield pictures


def read_images(
    files: Sequence[tuple[str, BinaryIO]], store: FileStore, limits: Limits | None = None
) -> tuple[list[NewImage], list[Problem]]:
    """Decode images, zips and MedMNIST archives sent by a browser; the readable ones stored, the others named.

    The content decides what a file is. Masks are left out and named, as in an image set.
    """
    limits = limits or Limits()
    images: list[NewImage] = []
    problems: list[Problem] = []
    plain: list[tuple[str, BinaryIO]] = []
    sources: list[Source] = []
    for name, stream in files:
        suffix = true_suffix(name, stream, limits) if len(files) <= MOST_ARCHIVES else suffix_of(name)
        try:
            if suffix in (".zip", ".npz"):
                sources.append(ZipSource(stream, limits) if suffix == ".zip" else MedMnistSource(stream, limits))
            else:
                plain.append((name, stream))
        except (RefusedFile, UnreadableSource) as error:
            problems.append(Problem(printable(name), "unreadable_archive", error.expected, error.found))
    if plain:
        sources.insert(0, UploadSource(plain, limits))
    for source in sources:
        found, refused = _read_source(source, store, limits)
        images += found
        problems += refused
    return images, problems


def read_image_path(path: Path, store: FileStore, limits: Limits | None = None) -> tuple[list[NewImage], list[Problem]]:
    """The same for an image file, folder, archive, manifest or split file of this machine.

    Raises UnreadableSource for a path without anything, and for a manifest that cannot be used.
    """
    limits = limits or Limits()
    if path.is_dir():
        return _read_source(FolderSource(path, limits), store, limits)
    if not path.is_file():
        raise UnreadableSource("An image, a zip or a folder of images", f"there is none at '{path}'", "Check the path.")
    with path.open("rb") as stream:
        suffix = true_suffix(path.name, stream, limits)
        if suffix in (*SHEET_SUFFIXES, ".json"):
            folder, listing = listed_folder(path, stream, suffix, limits)
            plan = plan_source(folder, listing)
            found, refused = _read_named(folder, [entry.key for entry in plan.entries], store, limits)
            return found, [*plan.problems, *refused]
        return read_images([(path.name, stream)], store, limits)


def images_of_set(found: ImageSet) -> list[NewImage]:
    """The images of a stored set, to be classified as if they were new."""
    return [NewImage(i.name, i.sha256, i.path, i.width, i.height, i.windowing, i.findings or ()) for i in found.images]


def is_left_out(problem: Problem) -> bool:
    """Whether a file was left out as it should be: a mask, or a table or text beside the images."""
    is_text = problem.problem == "not_an_image" and kind_of(problem.file, b"") is TABLE
    return is_text or problem.problem in MASK_PROBLEMS


def nothing_readable(problems: Sequence[Problem]) -> UnreadableSource:
    """The error where not one image could be read; the problems travel with it."""
    found = "; ".join(f"{p.file}: {p.found}" for p in problems[:3])
    remedy = remedy_for(problems) if problems else MEND
    error = UnreadableSource(
        "At least one readable image",
        found or "found no file",
        "Send PNG, JPEG, TIFF, BMP or WebP." if remedy == MEND else remedy,
    )
    error.problems = tuple(problems)  # type: ignore[attr-defined]
    return error


def _read_source(source: Source, store: FileStore, limits: Limits) -> tuple[list[NewImage], list[Problem]]:
    """Every image of a source; masks are named and left out as they are where the same files become a set."""
    names = source.names
    pairs = find_masks(name for name in names if is_picture(name, functools.partial(source.start, name)))
    masks = pairs.names | set(pairs.lonely)
    images, refused = _read_named(source, [name for name in names if name not in masks], store, limits)
    left_out = [mask_problem(image, mask) for image, found in pairs.masks.items() for mask in found]
    return images, [*source.problems, *refused, *left_out, *map(lonely_mask, pairs.lonely)]


def _read_named(
    source: Source, names: Sequence[str], store: FileStore, limits: Limits
) -> tuple[list[NewImage], list[Problem]]:
    images: list[NewImage] = []
    refused: list[Problem] = []
    for name in names:
        try:
            images.append(_read_one(source, name, store, limits))
        except RefusedFile as refusal:
            refused.append(refusal.about(name))
        except UnreadableImage as error:
            refused.append(Problem(name, error.code, error.expected, error.found))
    return images, refused


def _read_one(source: Source, name: str, store: FileStore, limits: Limits) -> NewImage:
    check_nested(name)
    content = source.read(name)
    check_content(name, content)
    found = sign(content, hashlib.sha256(content).hexdigest(), limits)
    sha256, path = store.put(content, STORED_SUFFIX[found.format])
    return NewImage(name, sha256, path, found.width, found.height, found.windowing, found.findings)
