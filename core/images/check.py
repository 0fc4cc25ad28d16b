"""Whether a path holds a usable image set: every problem, every leak and a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import InvalidInput, InvalidOption
from core.images.columns import ColumnChoice
from core.images.findings import CONSTANT, faults_note
from core.images.image_set import ImageSet
from core.images.labelled_image import PARTS, Problem
from core.images.leakage import find_leaks, find_near_duplicates, signatures_of
from core.images.limits import Limits
from core.images.read import read_image_set
from core.images.windowing import windowing_note


def check_images(
    path: str | Path, limits: Limits | None = None, choice: ColumnChoice | None = None
) -> tuple[list[Problem], dict[str, Any]]:
    """All problems of a source, then a summary.

    The summary has usable, classes, train, val, test (numbers of images), problems, leaks, near_duplicates (counts),
    notes, findings (pictures that are named though they stay usable, such as black ones), and ok: whether something
    usable remains, more than flat pictures, and no test image leaks. A source that cannot be read at all is a problem
    too, so nothing is raised for it. choice: columns of a table that a person chose; raises InvalidOption for one that
    no table has.
    """
    try:
        return check_image_set(read_image_set(path, limits=limits, choice=choice))
    except InvalidOption:
        raise
    except InvalidInput as error:
        refused: list[Problem] = list(getattr(error, "problems", ()))
        whole = Problem(Path(path).name, error.code, error.expected, error.found)
        summary = _summary(None, len(refused) + 1, 0, 0, [])
        # A problem has no place for it, and it is what a person needs most.
        return [*refused, whole], summary | {"notes": [error.remedy] if error.remedy else []}


def check_image_set(image_set: ImageSet) -> tuple[list[Problem], dict[str, Any]]:
    """The same for a set that has been read."""
    leaks = find_leaks(image_set)
    near = find_near_duplicates(image_set)
    lacking = find_lacking(image_set)
    problems = [*image_set.problems, *lacking, *leaks, *near]
    return problems, _summary(image_set, len(image_set.problems), len(leaks), len(near), lacking)


def find_lacking(image_set: ImageSet) -> list[Problem]:
    """Pictures without contrast, nearly constant, empty or transparent ones: a problem for each thing they lack."""
    signatures = signatures_of(image_set.images)
    return [
        Problem(image.name, found.problem, found.expected, found.found)
        for image in image_set.images
        for found in signatures[image.sha256].findings
    ]


def picture_notes(image_set: ImageSet) -> list[str]:
    """Sentences on what pictures lack and how deep ones are shown; reading a set puts the same among its notes."""
    signatures, images = signatures_of(image_set.images), image_set.images
    windows = (window for image in images if (window := signatures[image.sha256].windowing))
    return [
        *faults_note(((image.name, signatures[image.sha256].findings) for image in images), len(images)),
        *windowing_note(windows, len(images)),
    ]


def _summary(
    image_set: ImageSet | None, n_problems: int, n_leaks: int, n_near: int, lacking: list[Problem]
) -> dict[str, Any]:
    flat = {problem.file for problem in lacking if problem.problem == CONSTANT}
    return {
        "usable": len(image_set.images) if image_set else 0,
        "classes": list(image_set.classes) if image_set else [],
        **{part: len(image_set.part(part)) if image_set else 0 for part in PARTS},
        "problems": n_problems,
        "leaks": n_leaks,
        "near_duplicates": n_near,
        "findings": len(lacking),
        "notes": list(image_set.notes) if image_set else [],
        "ok": image_set is not None and n_leaks == 0 and len(flat) < len(image_set.images),
    }
