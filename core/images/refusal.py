"""Why a source as a whole cannot be used: the cause that most of its refused files share, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.errors import UnreadableSource
from core.images.file_kind import TABLE, kind_of, remedy_in
from core.images.labelled_image import Problem

_REMEDIES = {
    "encrypted": "Make the zip again without a password.",
    "compression": "Make the zip again with the method Deflate, the usual one.",
    "nested_archive": "Unpack the archives first, or make one zip of the images.",
    "unsafe_name": "Rename the files, or make the zip again from the folder itself.",
    "hidden_folder": "Rename the folder so that its name does not begin with a dot.",
    "damaged": "Make the zip again and send it once more.",
    "misplaced": "Put the images directly into one folder per class.",
    "unreadable_image": "Export the images again as PNG, JPEG, TIFF, BMP or WebP.",
    "missing_file": "Put the table beside the images, with paths that start there.",
}
TWO_CLASSES = "At least two classes with readable training images"
MEND = "Add images, or mend the files that were refused."
SORT = "Sort the images into one folder per class, or add a table that names the class of each."


def common_cause(problems: Sequence[Problem]) -> UnreadableSource:
    """The error of a source whose files were all refused. problems: at least one."""
    first = most_common(problems)
    return UnreadableSource(
        f"{first.expected[:1].upper()}{first.expected[1:]}",
        f"{first.found}; {refused_words(problems)}",
        remedy_for(problems),
    )


def weighty(problems: Sequence[Problem]) -> list[Problem]:
    """The problems without those of tables and texts, which lie beside many image sets and cost nothing."""
    return [p for p in problems if p.problem != "not_an_image" or kind_of(p.file, b"") is not TABLE]


def most_common(problems: Sequence[Problem]) -> Problem:
    """The first problem of the kind that stands most often."""
    kind = Counter(_kind(problem) for problem in problems).most_common(1)[0][0]
    return next(problem for problem in problems if _kind(problem) == kind)


def refused_words(problems: Sequence[Problem]) -> str:
    """How many files were refused and the typical one, in words."""
    typical = most_common(problems)
    if len(problems) == 1:
        return f"1 file was refused, '{typical.file}'"
    return f"{len(problems)} files were refused, such as '{typical.file}'"


def remedy_for(problems: Sequence[Problem]) -> str:
    """What to do about the problems that stand most often."""
    if not problems:
        return SORT
    typical = most_common(problems)
    return remedy_in(typical.found) or _REMEDIES.get(typical.problem, MEND)


def _kind(problem: Problem) -> tuple[str, str]:
    return problem.problem, problem.found if problem.problem == "unreadable_image" else ""
