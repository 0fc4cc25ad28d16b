"""Image sets and their images, in the words of the domain. Functions take the session they work in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Row, Select, delete, func, insert, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidInput, NotFound
from core.images.findings import Finding, shown
from core.images.image_set import ImageSet
from core.images.labelled_image import PARTS, LabelledImage, Problem
from core.images.windowing import Windowing
from core.records.contents import image_path
from core.records.explanation_batches import batches_at_work
from core.records.ids import new_id
from core.records.tables import (
    ClassificationImageRow,
    ExperimentRow,
    ExplanationRow,
    ImageClassRow,
    ImageProblemRow,
    ImageRow,
    ImageSetRow,
    JobRow,
    RegionRow,
    RunRow,
)
from core.records.types import iso, unreadable_columns

Source = Literal["upload", "folder", "demo"]
PROBLEMS_SHOWN = 80
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class StoredFile:
    """Where an image's bytes lie in the image store. mask: the same for its lesion mask, where there is one."""

    image_id: str
    sha256: str
    file: str
    mask: str | None


def add_image_set(
    session: Session,
    image_set: ImageSet,
    *,
    source: Source,
    store: Path,
    drawn: bool = False,
    masks: Mapping[str, tuple[str, Path]] | None = None,
) -> str:
    """Record an image set whose files already lie in the store, and return its id.

    masks: image name -> (SHA-256, path in the store) of its mask. Raises Conflict if the name is taken.
    """
    if session.scalar(select(ImageSetRow.id).where(ImageSetRow.name == image_set.name)):
        raise Conflict(
            "Every image set has a name of its own",
            f"'{image_set.name}' exists already",
            "Choose another name or delete the old set first.",
        )
    set_id = new_id()
    session.execute(
        insert(ImageSetRow).values(
            id=set_id,
            name=image_set.name,
            modality=image_set.modality,
            source=source,
            drawn=drawn,
            fingerprint=image_set.fingerprint,
            notes=list(image_set.notes),
            extra=dict(image_set.extra),
        )
    )
    class_ids = [new_id() for _ in image_set.classes]
    _insert(
        session,
        ImageClassRow,
        [
            {"id": id_, "image_set_id": set_id, "label": label, "name": name}
            for label, (id_, name) in enumerate(zip(class_ids, image_set.classes, strict=True))
        ],
    )
    _insert(session, ImageRow, _image_values(set_id, class_ids, image_set.images, store, masks or {}))
    _insert(
        session,
        ImageProblemRow,
        [{"id": new_id(), "image_set_id": set_id, **problem.as_dict()} for problem in image_set.problems],
    )
    return set_id


def find_image_set(session: Session, id_or_name: str) -> ImageSetRow:
    """The row of an image set. Raises NotFound."""
    row = session.get(ImageSetRow, id_or_name)
    row = row or session.scalar(select(ImageSetRow).where(ImageSetRow.name == id_or_name))
    if row is None:
        raise NotFound(
            "An image set with this id or name", f"'{id_or_name}' is none", "List the image sets to see their names."
        )
    return row


def list_image_sets(session: Session, limit: int = 200, offset: int = 0) -> list[dict[str, Any]]:
    """Image sets, the newest first, in the shape of `image_set_dict` without its problems."""
    query = select(ImageSetRow).order_by(ImageSetRow.created_at.desc(), ImageSetRow.id.desc())
    return _set_dicts(session, session.scalars(query.limit(limit).offset(offset)).all())


def count_image_sets(session: Session) -> int:
    """How many image sets there are."""
    return session.scalar(select(func.count(ImageSetRow.id))) or 0


def ids_of_fingerprint(session: Session, fingerprint: str) -> list[str]:
    """Ids of the image sets that hold exactly this data, the oldest first."""
    query = select(ImageSetRow.id).where(ImageSetRow.fingerprint == fingerprint)
    return list(session.scalars(query.order_by(ImageSetRow.created_at, ImageSetRow.id)))


def is_name_taken(session: Session, name: str) -> bool:
    """Whether an image set has this name."""
    return session.scalar(select(ImageSetRow.id).where(ImageSetRow.name == name)) is not None


def demo_set_id(session: Session) -> str | None:
    """The id of the drawn demo set, where there is one."""
    return session.scalar(select(ImageSetRow.id).where(ImageSetRow.source == "demo").limit(1))


def image_set_dict(session: Session, id_or_name: str) -> dict[str, Any]:
    """One image set: id, name, modality, source, drawn, fingerprint, created_at, n_images, classes, n_problems,
    problems, notes.

    problems: the first PROBLEMS_SHOWN of n_problems; `list_problems` gives the others. Raises NotFound.
    """
    row = find_image_set(session, id_or_name)
    return _set_dicts(session, [row])[0] | {"problems": list_problems(session, row.id, PROBLEMS_SHOWN)}


def list_problems(session: Session, image_set_id: str, limit: int = 80, offset: int = 0) -> list[dict[str, str]]:
    """Files refused when a set was read, in the order of reading: file, problem, expected, found."""
    row = ImageProblemRow
    query = select(row.file, row.problem, row.expected, row.found).where(row.image_set_id == image_set_id)
    found = session.execute(query.order_by(row.id).limit(limit).offset(offset))
    return [Problem(*each).as_dict() for each in found]


def count_problems(session: Session, image_set_id: str) -> int:
    """How many files were refused when a set was read."""
    return _problem_counts(session, [image_set_id]).get(image_set_id, 0)


def list_images(
    session: Session,
    image_set_id: str,
    *,
    class_name: str | None = None,
    part: str | None = None,
    offset: int = 0,
    limit: int = 60,
) -> list[dict[str, Any]]:
    """Images of a set in file order, a page at a time. Raises InvalidInput for a part that does not exist."""
    query = _images().where(ImageRow.image_set_id == image_set_id).order_by(ImageRow.id)
    query = _narrowed(query, class_name, part).limit(limit).offset(offset)
    return [_image_dict(row) for row in session.execute(query)]


def count_images(session: Session, image_set_id: str, *, class_name: str | None = None, part: str | None = None) -> int:
    """How many images `list_images` would give over all pages."""
    query = select(func.count(ImageRow.id)).outerjoin(ImageClassRow, ImageRow.class_id == ImageClassRow.id)
    return session.scalar(_narrowed(query.where(ImageRow.image_set_id == image_set_id), class_name, part)) or 0


def image_dict(session: Session, image_id: str) -> dict[str, Any]:
    """One image: id, image_set_id, name, class, part, group, width, height, sha256, has_mask, windowing, findings.

    Raises NotFound.
    """
    row = session.execute(_images().where(ImageRow.id == image_id)).first()
    if row is None:
        raise NotFound("An image with this id", f"'{image_id}' is none", "It may have been deleted with its set.")
    return _image_dict(row)


def stored_file(session: Session, image_id: str) -> StoredFile:
    """Where an image lies, whether it belongs to a set or was sent to be classified. Raises NotFound."""
    row = session.get(ImageRow, image_id)
    if row is None:
        raise NotFound("An image with this id", f"'{image_id}' is none", "It may have been deleted with its set.")
    return StoredFile(row.id, row.sha256, row.file, row.mask_file)


def load_image_set(session: Session, id_or_name: str, store: Path) -> ImageSet:
    """The image set as it was recorded: same classes, same order of images, same fingerprint.

    store: folder of the image store. Raises NotFound.
    """
    row = find_image_set(session, id_or_name)
    classes = session.scalars(
        select(ImageClassRow.name).where(ImageClassRow.image_set_id == row.id).order_by(ImageClassRow.label)
    )
    images = session.execute(_images().where(ImageRow.image_set_id == row.id).order_by(ImageRow.id))
    problems = session.scalars(
        select(ImageProblemRow).where(ImageProblemRow.image_set_id == row.id).order_by(ImageProblemRow.id)
    )
    return ImageSet(
        name=row.name,
        classes=tuple(classes),
        images=tuple(_labelled_image(image, label, store) for image, _, label in images),
        problems=tuple(Problem(p.file, p.problem, p.expected, p.found) for p in problems),
        notes=tuple(row.notes),
        modality=row.modality,
        extra=dict(row.extra),
    )


def image_ids(session: Session, set_id: str) -> list[str]:
    """Ids of a set's images, in the order of `load_image_set`."""
    return list(session.scalars(select(ImageRow.id).where(ImageRow.image_set_id == set_id).order_by(ImageRow.id)))


def hold_image_set(session: Session, id_or_name: str, *, to_delete: bool = False) -> ImageSetRow:
    """The row of an image set, kept from being deleted (or, to delete it, from being used) until the session ends.

    Raises NotFound, also where the set was deleted while this waited.
    """
    set_id = find_image_set(session, id_or_name).id
    query = select(ImageSetRow).where(ImageSetRow.id == set_id).execution_options(populate_existing=True)
    held = query.with_for_update() if to_delete else query.with_for_update(read=True, key_share=True)
    return session.scalar(held) or find_image_set(session, id_or_name)


def delete_image_set(session: Session, id_or_name: str) -> list[str]:
    """Delete an image set and return what only it referred to, as paths in the home folder.

    Its sealed runs stay, with its name and fingerprint. Called through `app.services.contents.remove`, which removes
    the files. Raises NotFound, or Conflict while a job uses the set.
    """
    row = hold_image_set(session, id_or_name, to_delete=True)
    at_work = select(JobRow.id).join(RunRow, JobRow.run_id == RunRow.id)
    busy = (
        len(
            session.scalars(at_work.where(RunRow.image_set_id == row.id, JobRow.state.in_(("queued", "running")))).all()
        )
        + _experiments_at_work(session, row.id)
        + batches_at_work(session, row.id)
    )
    if busy:
        raise Conflict(
            "An image set is deleted when no job uses it",
            f"{busy} queued or running {'job does' if busy == 1 else 'jobs do'}",
            "Cancel them or wait until they are done.",
        )
    paths = paths_of_images(session, ImageRow.image_set_id == row.id)
    # Classes go with the set, and what refers to both may only go once.
    session.execute(delete(ImageRow).where(ImageRow.image_set_id == row.id))
    session.delete(row)
    session.flush()
    return paths


def _experiments_at_work(session: Session, image_set_id: str) -> int:
    """How many queued or running jobs of experiments read an image set, to train on or as a target."""
    query = select(ExperimentRow.sources).join(JobRow, JobRow.experiment_id == ExperimentRow.id)
    found = session.scalars(query.where(JobRow.state.in_(("queued", "running"))))
    return sum(any(image_set_id in ids.values() for ids in sources.values()) for sources in found)


def add_loose_images(session: Session, images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Record images that belong to no set, such as those sent to be classified; their ids in the same order.

    images: name, sha256, file (path inside the store), width, height, windowing, findings.
    """
    rows = [{"id": new_id(), **image} for image in images]
    _insert(session, ImageRow, rows)
    return [row["id"] for row in rows]


def loose_images_of(session: Session, classification_id: str) -> list[str]:
    """Ids of the images that were sent with a classification and belong to no set."""
    query = (
        select(ImageRow.id)
        .join(ClassificationImageRow, ClassificationImageRow.image_id == ImageRow.id)
        .where(ClassificationImageRow.classification_id == classification_id, ImageRow.image_set_id.is_(None))
        .order_by(ImageRow.id)
    )
    return list(session.scalars(query))


def _insert(session: Session, table: type, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _image_values(
    set_id: str,
    class_ids: Sequence[str],
    images: Iterable[LabelledImage],
    store: Path,
    masks: Mapping[str, tuple[str, Path]],
) -> list[dict[str, Any]]:
    rows = []
    for image in images:
        mask_sha256, mask_path = masks.get(image.name, (None, None))
        rows.append(
            {
                "id": new_id(),
                "image_set_id": set_id,
                "class_id": class_ids[image.label],
                "name": image.name,
                "part": image.part,
                "group_name": image.group,
                "width": image.width,
                "height": image.height,
                "sha256": image.sha256,
                "file": path_in(store, image.path),
                "mask_sha256": mask_sha256,
                "mask_file": path_in(store, mask_path) if mask_path else None,
                **looked_at(image.windowing, image.findings),
            }
        )
    return rows


def looked_at(windowing: Windowing | None, findings: Sequence[Finding] | None) -> dict[str, Any]:
    """Columns of an image that say how it is shown and what it lacks."""
    return {
        "windowing": windowing.as_dict() if windowing else None,
        "findings": None if findings is None else [found.as_dict() for found in findings],
    }


def picture_dict(image: ImageRow) -> dict[str, Any]:
    """The same of a recorded image, with sentences for people: windowing {..., sentence} or None, findings."""
    try:
        windowing = Windowing.from_dict(image.windowing) if image.windowing else None
        return shown(windowing, [Finding(**found) for found in image.findings or ()])
    except (KeyError, TypeError, ValueError):  # damaged from outside; the image itself is still there
        return shown(None, [])


def path_in(store: Path, path: Path) -> str:
    """The path as rows hold it: inside the store, with forward slashes. Raises InvalidInput for one outside."""
    try:
        return path.resolve().relative_to(store.resolve()).as_posix()
    except ValueError:
        raise InvalidInput(
            "Recorded files lie in the home folder",
            "one lies outside",
            "Read the images into the image store before they are recorded.",
        ) from None


def _images() -> Select[ImageRow, str, int]:
    return select(ImageRow, ImageClassRow.name, ImageClassRow.label).outerjoin(
        ImageClassRow, ImageRow.class_id == ImageClassRow.id
    )


def _narrowed(query: Query, class_name: str | None, part: str | None) -> Query:
    if part is not None and part not in PARTS:
        raise InvalidInput(f"A part is one of {', '.join(PARTS)}", f"found '{part}'", "Choose one of them.")
    query = query if class_name is None else query.where(ImageClassRow.name == class_name)
    return query if part is None else query.where(ImageRow.part == part)


def _labelled_image(image: ImageRow, label: int, store: Path) -> LabelledImage:
    return LabelledImage(
        path=store / image.file,
        name=image.name,
        label=label,
        part=image.part,  # type: ignore[arg-type]  # the table's check constraint allows only parts
        sha256=image.sha256,
        group=image.group_name,
        width=image.width,
        height=image.height,
        windowing=Windowing.from_dict(image.windowing) if image.windowing else None,
        findings=None if image.findings is None else tuple(Finding(**found) for found in image.findings),
        masks=(store / image.mask_file,) if image.mask_file else (),
    )


def _image_dict(row: Row[ImageRow, str, int]) -> dict[str, Any]:
    image, class_name, _ = row
    return {
        "id": image.id,
        "image_set_id": image.image_set_id,
        "name": image.name,
        "class": class_name,
        "part": image.part,
        "group": image.group_name,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256,
        "has_mask": image.mask_file is not None,
        **picture_dict(image),
    }


def _set_dicts(session: Session, rows: Sequence[ImageSetRow]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    classes, problems = _classes(session, ids), _problem_counts(session, ids)
    return [_set_dict(row, classes[row.id], problems.get(row.id, 0)) for row in rows]


def _problem_counts(session: Session, ids: Sequence[str]) -> dict[str, int]:
    row = ImageProblemRow
    query = select(row.image_set_id, func.count(row.id)).where(row.image_set_id.in_(ids)).group_by(row.image_set_id)
    return {set_id: number for set_id, number in session.execute(query)}  # noqa: C416


def _classes(session: Session, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    by_class: dict[str, dict[str, Any]] = {}
    by_set: dict[str, list[dict[str, Any]]] = {id_: [] for id_ in ids}
    query = select(ImageClassRow).where(ImageClassRow.image_set_id.in_(ids)).order_by(ImageClassRow.label)
    for row in session.scalars(query):
        by_class[row.id] = {"name": row.name, "label": row.label, **dict.fromkeys(PARTS, 0)}
        by_set[row.image_set_id].append(by_class[row.id])
    counts = (
        select(ImageRow.class_id, ImageRow.part, func.count(ImageRow.id))
        .where(ImageRow.image_set_id.in_(ids))
        .group_by(ImageRow.class_id, ImageRow.part)
    )
    for class_id, part, count in session.execute(counts):
        if class_id in by_class and part in PARTS:
            by_class[class_id][part] = count
    return by_set


def _set_dict(row: ImageSetRow, classes: list[dict[str, Any]], n_problems: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "modality": row.modality,
        "source": row.source,
        "drawn": row.drawn,
        "fingerprint": row.fingerprint,
        "created_at": iso(row.created_at),
        "n_images": sum(each[part] for each in classes for part in PARTS),
        "classes": classes,
        "n_problems": n_problems,
        "notes": list(row.notes),
        "unreadable": unreadable_columns(row),
    }


def paths_of_images(session: Session, condition: Any) -> list[str]:
    """Files, masks, regions and explanations of the images for which a condition holds, as paths in the home folder."""
    rows = session.execute(select(ImageRow.file, ImageRow.mask_file).where(condition))
    files = [image_path(file) for pair in rows for file in pair if file]
    drawn = select(RegionRow.mask_file).join(ImageRow, RegionRow.image_id == ImageRow.id).where(condition)
    explained = select(ExplanationRow.folder).join(ImageRow, ExplanationRow.image_id == ImageRow.id).where(condition)
    return [*files, *map(image_path, session.scalars(drawn)), *session.scalars(explained)]
