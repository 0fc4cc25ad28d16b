"""Which folder of a path is the class: the rules, on names alone.

A class is the folder that holds the images directly. What wraps all classes, folders called "images" and the like, and
folders that group classes (`lung/lung_aca`, `colon/colon_aca`) say nothing; folders of patients or slides within a
class group its images. Where two readings are possible, nothing is guessed: the refusal names what lies where.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import UnreadableSource
from core.images.labelled_image import Part
from core.images.masks import words_of
from core.images.parts import part_of

Folders = tuple[str, ...]

_PICTURES = (
    "image images img imgs picture pictures pic pics photo photos photograph photographs original originals raw frame "
    "frames jpg jpeg png tif tiff bmp"
)
_COLLECTIONS = (
    "part batch chunk fold data dataset datasets set sets input folder archive tiles samples sample collection"
)
_FILLERS = "set sets data dataset images image imgs img folder split cases part files samples pictures input"
_IDENTITIES = (
    "patient patients pat pt pid p case cases c subject subjects subj sub s id ids person volunteer scan scans slide "
    "slides study studies series se st exam visit acc accession mrn"
)
_PICTURE_WORDS = frozenset(_PICTURES.split())
_COLLECTION_WORDS = _PICTURE_WORDS | frozenset(_COLLECTIONS.split())
_PART_FILLERS = frozenset(_FILLERS.split())
_IDENTITY_WORDS = frozenset(_IDENTITIES.split())
_PATIENT_WORDS = frozenset(("patient", "patients", "pat", "subject", "subjects", "case"))
_MAGNIFICATION = re.compile(r"[0-9]{1,3}x", re.IGNORECASE)
_REMEDY = "Put the images directly into one folder per class, or give the folder that holds the classes."


@dataclass
class ClassFolders:
    """classes: {folders of a picture: the class as written}. groups: {folders: patient or slide}, where folders say so.
    strays: folders whose pictures belong to no class. notes: how the folders were read, in sentences."""

    classes: dict[Folders, str] = field(default_factory=dict)
    groups: dict[Folders, str] = field(default_factory=dict)
    strays: set[Folders] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PartFolder:
    """Where a part begins: what lies above it, the part, and the folders below it."""

    above: Folders
    part: Part
    below: Folders


def part_folder(folders: Folders, parts: Mapping[Folders, Part]) -> PartFolder | None:
    """The part a path lies in, or None. parts: see `part_folders`."""
    levels = [(k, parts[folders[: k + 1]]) for k in range(len(folders)) if folders[: k + 1] in parts]
    if not levels:
        return None
    inner = [level for level in levels if level[0] < len(folders) - 1] or levels[:1]
    at, part = inner[-1]
    return PartFolder(folders[: levels[0][0]], part, folders[at + 1 :])


def part_folders(paths: Iterable[Folders]) -> dict[Folders, Part]:
    """{path of a folder: its part} among all folders of the paths.

    "Training400" and "train_set" are parts, "test positive" is not; "brain_train" is one beside "brain_test".
    """
    places = {path[: depth + 1] for path in paths for depth in range(len(path))}
    found = {place: part for place in places if (part := folder_part(place[-1]))}
    siblings: dict[tuple[Folders, tuple[str, ...]], dict[Folders, Part]] = defaultdict(dict)
    for place in places - found.keys():
        words = [word for word in words_of(place[-1]) if not word.isdecimal()]
        meant = [part for word in words if (part := part_of(word))]
        if len(meant) == 1:
            siblings[place[:-1], tuple(word for word in words if not part_of(word))][place] = meant[0]
    for members in siblings.values():
        if "train" in members.values() and len(set(members.values())) > 1:
            found |= members
    return found


def folder_part(name: str) -> Part | None:
    """The part that a folder name means by itself, or None."""
    words = [word.removesuffix("set") for word in words_of(name) if not word.isdecimal()]
    meant = [word for word in words if len(word) > 1 and word not in _PART_FILLERS]
    if {part_of(word) for word in meant if word != "and"} == {"train", "val"}:
        return "train"  # validation images are drawn from it
    return part_of(meant[0]) if len(meant) == 1 else None


def find_classes(paths: Mapping[Folders, Folders], counts: Mapping[Folders, int]) -> ClassFolders:
    """The class of each folder that holds pictures.

    paths: {folders: what is left of them below the part}, where what wraps a part may be left out already. counts:
    number of pictures in each. Raises UnreadableSource where no folder can be a class, and where it is open which is.
    """
    found = ClassFolders(strays=_strays(counts))
    cut = _cut({key: _without_pictures(path) for key, path in paths.items() if key not in found.strays})
    found.strays |= {key for key, path in cut.items() if not path}
    cut = _without_identities({key: path for key, path in cut.items() if path}, found)
    if not cut or (len(counts) == 1 and _says_pictures(next(iter(counts))[-1:])):
        raise _no_classes(counts)
    cut = _below_identities(cut, found)
    if any(len(path) > 1 for path in cut.values()):
        _check_leaves(cut)
        groups = sorted({path[0] for path in cut.values() if len(path) > 1})
        found.notes.append(f"Classes are the folders that hold images, also below {_listed(groups)}.")
    found.classes = {key: path[-1] for key, path in cut.items()}
    _check_meaning(sorted(set(found.classes.values())))
    return found


def _strays(counts: Mapping[Folders, int]) -> set[Folders]:
    """Folders whose pictures lie above or below the classes.

    Where folders with pictures lie within another, the side with fewer pictures is astray; what holds all of them is no
    class in any case.
    """
    inside: dict[Folders, list[Folders]] = defaultdict(list)
    for folders in counts:
        for depth in range(len(folders)):
            if folders[:depth] in counts and not _says_pictures(folders[depth:]):
                inside[folders[:depth]].append(folders)
    strays: set[Folders] = set()
    for outer in sorted(inside, key=lambda folders: (len(folders), folders)):
        within = [folders for folders in inside[outer] if folders not in strays]
        if outer in strays or not within:
            continue
        holds_all = len(within) > 1 and len(within) == len(counts) - len(strays) - 1
        is_stray = not outer or holds_all or counts[outer] < sum(counts[folders] for folders in within)
        strays.update([outer] if is_stray else within)
    return strays


def _says_pictures(folders: Folders) -> bool:
    return all(_is_plain_pictures(folder) for folder in folders)


def _without_pictures(folders: Folders) -> Folders:
    """Without folders at the end that only say that images lie there: `COVID/images`."""
    while len(folders) > 1 and _is_plain_pictures(folders[-1]):
        folders = folders[:-1]
    return folders


def _is_plain_pictures(folder: str) -> bool:
    words = [word for word in words_of(folder) if not word.isdecimal()]
    return bool(words) and _PICTURE_WORDS.issuperset(words)


def _cut(paths: dict[Folders, Folders]) -> dict[Folders, Folders]:
    """Paths without the folders that wrap all of them and without equal folders at their end."""
    while len(set(paths.values())) > 1 and min(map(len, paths.values())) > 1:
        if len({path[0] for path in paths.values()}) == 1:
            paths = {key: path[1:] for key, path in paths.items()}
        elif len({path[-1] for path in paths.values()}) == 1:
            paths = {key: path[:-1] for key, path in paths.items()}
        else:
            return paths
    if len(set(paths.values())) == 1:
        paths = {key: path[-1:] for key, path in paths.items()}
    return {key: () if len(path) == 1 and _is_plain_pictures(path[0]) else path for key, path in paths.items()}


def _without_identities(paths: dict[Folders, Folders], found: ClassFolders) -> dict[Folders, Folders]:
    """Paths without magnifications and without folders of patients or slides, which become groups."""
    while len(paths) > 1 and min(map(len, paths.values())) > 1:
        last = {path[-1] for path in paths.values()}
        if all(_MAGNIFICATION.fullmatch(folder) for folder in last):
            paths = {key: path[:-1] for key, path in paths.items()}
            found.notes.append(f"Folders {_listed(sorted(last))} are read as magnifications, not as classes.")
        elif _are_identities(paths):
            found.groups |= {key: path[-1] for key, path in paths.items()}
            paths = {key: path[:-1] for key, path in paths.items()}
            found.notes.append(
                f"Folders such as {_listed(sorted(last), 2)} are patients or slides, whose images stay together."
            )
        else:
            break
    return _cut(paths)


def _below_identities(paths: dict[Folders, Folders], found: ClassFolders) -> dict[Folders, Folders]:
    """Paths without a first folder that names the patient: `10253/0`, `10253/1`."""
    tops = sorted({path[0] for path in paths.values()})
    is_patient = len(tops) > 1 and all(_is_patient(top) for top in tops)
    if not is_patient or any(len(path) != 2 for path in paths.values()):
        return paths
    found.groups |= {key: path[0] for key, path in paths.items()}
    found.notes.append(f"Folders such as {_listed(tops, 2)} are patients or slides, whose images stay together.")
    return {key: path[1:] for key, path in paths.items()}


def _are_identities(paths: Mapping[Folders, Folders]) -> bool:
    """Whether the last folders name patients: numbers, or a word such as "patient" with one; small ones only once."""
    holders: dict[str, set[Folders]] = defaultdict(set)
    for path in paths.values():
        holders[path[-1]].add(path[:-1])
    return all(_is_identity(folder, len(places) == 1) for folder, places in holders.items())


def _is_identity(folder: str, is_single: bool) -> bool:
    words = words_of(folder)
    numbers = [word for word in words if word.isdecimal()]
    names = [word for word in words if not word.isdecimal()]
    n_digits, n_letters = sum(map(len, numbers)), sum(map(len, names))
    if not numbers:
        return False
    if not names:
        return n_digits >= 3 or is_single
    return _IDENTITY_WORDS.issuperset(names) or (n_digits >= 3 and 2 * n_digits >= n_letters)


def _is_patient(folder: str) -> bool:
    """Whether a folder can hardly be anything but one patient or image: "c1" and "grade 2" may be classes."""
    words = words_of(folder)
    n_digits = sum(len(word) for word in words if word.isdecimal())
    return _is_identity(folder, is_single=False) and (n_digits >= 3 or not _PATIENT_WORDS.isdisjoint(words))


def _check_leaves(paths: Mapping[Folders, Folders]) -> None:
    """Refuse paths whose last folder does not settle the class."""
    holders: dict[str, set[Folders]] = defaultdict(set)
    for path in paths.values():
        holders[path[-1].casefold()].add(path)
    twice = sorted(sorted(places) for places in holders.values() if len(places) > 1)
    if twice:
        raise UnreadableSource(
            "One folder for each class",
            f"found images in {_listed(['/'.join(path) for path in twice[0]])}, where either folder may be the class",
            _REMEDY,
        )
    depth = max(map(len, paths.values()))
    odd = sorted(
        "/".join(p) for p in paths.values() if len(p) < depth and not _COLLECTION_WORDS.isdisjoint(words_of(p[-1]))
    )
    if odd:
        deep = sorted("/".join(path) for path in paths.values() if len(path) == depth)
        raise UnreadableSource(
            "Class folders of one depth", f"found images in {_listed(odd, 2)} and in {_listed(deep, 2)}", _REMEDY
        )


def _check_meaning(written: Sequence[str]) -> None:
    """Refuse folders that name no classes: pieces of one collection ("images part 1") and patients."""
    if len(written) < 2:
        return
    if all(_is_chunk(name) for name in written):
        what = "which are pieces of one collection"
    elif all(_is_patient(name) for name in written):
        what = "which name patients or images"
    else:
        return
    raise UnreadableSource(
        "Folders named after classes",
        f"found {_listed(written)}, {what}",
        "Sort the images into one folder per class, or add the table that names each image's class.",
    )


def _is_chunk(name: str) -> bool:
    words = words_of(name)
    return any(word.isdecimal() for word in words) and not _COLLECTION_WORDS.isdisjoint(words)


def _no_classes(counts: Mapping[Folders, int]) -> UnreadableSource:
    total = sum(counts.values())
    places = sorted("/".join(folders) for folders in counts)
    where = f" in {_listed([place for place in places if place])}" if any(places) else ""
    return UnreadableSource(
        "One folder for each class",
        f"found {total} images{where} and no class folders",
        "Sort the images into one folder per class. Or add a manifest.csv with the columns path,label.",
    )


def _listed(names: Sequence[str], most: int = 3) -> str:
    """Names in quotes, the first few of many."""
    shown = " and ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
