"""Lesion masks that lie beside images: never training images, kept to score maps against.

A picture is a mask if its name says so and it pairs with an image of the same source:

- its folder is called `masks`, `Masks`, `ground_truth`, `GT`, `segmentations`, `annotations`, `lung masks` and so on,
  and the image of its name lies in the same place without that folder, in the folder beside it, or is the only one of
  its name (`masks/train/a/1.png`, `a/masks/1.png` beside `a/images/1.png`, `Masks/1.png`);
- its file name ends or begins so: `1_mask.png`, `1_mask_1.png`, `1-mask.png`, `1_segmentation.png`, `1_anno.bmp`,
  `1_gt.png`, `mask_1.png`.

Where one mask of a spelling pairs, the others of that spelling are masks that miss their image. Where none does, the
spelling means nothing: a class may be called "mask". In a store the mask of `<sha256>.png` is `<sha256>.mask.png`.
"""

from __future__ import annotations

import io
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image, ImageChops

from core.images.decode import opened_picture
from core.images.labelled_image import LabelledImage, Problem
from core.images.limits import Limits

_FOLDERS = (
    "mask masks gt gts groundtruth groundtruths segmentation segmentations seg segs "
    "annotation annotations annot annots anno labels contours"
)
_FOLDER_WORDS = frozenset(_FOLDERS.split())
_OPPOSITES = frozenset(("no", "non", "not", "without", "with"))
# Folders so called hold the images as well.
_COLLECTIONS = frozenset(("data", "dataset", "datasets", "database", "set", "sets", "challenge"))
_STRONG = r"(?:masks?|segmentations?|segmented|annotations?|anno|annot|ground[-_ ]?truths?|gts?)"
_WEAK = r"(?:segs?|labels?|lesions?|contours?|roi|superpixels)"
_KINDS = r"(?:bin|binary|lung|lesion|left|right|tumou?r|manual)"
_KIND = rf"(?:{_KINDS}[-_ ])?"
_COUNT = r"(?:[-_ ]*\(?[0-9]{1,3}\)?)?"
_SUFFIX = re.compile(rf"(?P<stem>.*[^-_. ])[-_. ]+(?P<mark>{_STRONG}|{_WEAK}){_COUNT}", re.IGNORECASE)
_CAMEL = re.compile(rf"(?P<stem>.*[a-z0-9)])(?P<mark>Masks?|Segmentation|Anno){_COUNT}")
_KIND_SUFFIX = re.compile(rf"(?P<stem>.*[^-_. ])[-_. ]+(?P<mark>{_KINDS})", re.IGNORECASE)
_PREFIX = re.compile(rf"(?P<mark>{_KIND}(?:{_STRONG}|{_WEAK}))[-_. ]+(?P<stem>.+)", re.IGNORECASE)
_STRONG_MARK = re.compile(rf"{_KIND}{_STRONG}", re.IGNORECASE)
# Such as "&gt;" or "gt=1": whoever writes so does not name a folder of masks.
_ODD_PIECE = re.compile(r"\S*[^\w\s.()+-]\S*")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")

Folders = tuple[str, ...]


@dataclass
class MaskPairs:
    """masks: {image name: [mask names]}. lonely: masks whose image is missing. genuine: folders called like masks whose
    pictures pair with nothing, so that they are images."""

    masks: dict[str, list[str]] = field(default_factory=dict)
    lonely: list[str] = field(default_factory=list)
    genuine: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """All masks that have an image."""
        return {mask for found in self.masks.values() for mask in found}


def mask_path(image: LabelledImage) -> Path | None:
    """Where the mask of an image lies: beside its stored file, or where it was read; None if it has none."""
    stored = image.path.with_suffix(".mask.png")
    return stored if stored.is_file() else next(iter(image.masks), None)


def pair_masks(names: Iterable[str]) -> dict[str, list[str]]:
    """{image name: [mask names]} among the names of pictures; see `find_masks`."""
    return find_masks(names).masks


def find_masks(names: Iterable[str]) -> MaskPairs:
    """Which of these pictures are masks, and of which image. names: relative, of pictures only, in any order."""
    pictures = [_Picture(name, *_split(name)) for name in names]
    shared = _common_folders([picture.folders for picture in pictures])
    pictures = [picture._replace(folders=picture.folders[shared:]) for picture in pictures]
    is_mask = _mask_folders({word for picture in pictures for word in picture.folders})
    below = {p.name: [k for k, word in enumerate(p.folders) if word in is_mask] for p in pictures}
    fewest = min((len(found) for found in below.values()), default=0)
    index = _Index(picture for picture in pictures if len(below[picture.name]) == fewest)
    pairs = MaskPairs()
    spelled: dict[str, list[tuple[_Picture, str | None]]] = defaultdict(list)
    for picture in pictures:
        levels = below[picture.name] if len(below[picture.name]) > fewest else []
        for spelling, image in _readings(picture, levels, index):
            spelled[spelling].append((picture, image))
            if image is not None:
                break
    _settle(spelled, pairs)
    return pairs


MASK_PROBLEMS = ("mask", "unpaired_mask")


def lonely_mask(name: str) -> Problem:
    """The problem of a mask without its image."""
    return Problem(name, "unpaired_mask", "an image for each mask", "a mask whose image is missing")


def mask_problem(image: str, mask: str) -> Problem:
    """What is told about a mask where only images are wanted."""
    return Problem(mask, "mask", "images", f"the mask of '{image}', which is no image to classify")


def join_masks(contents: list[bytes], size: tuple[int, int], limits: Limits) -> bytes | None:
    """One PNG mask, white where any of the given masks is not black; None if a size differs from the image's.

    size: (width, height) of the image. Raises UnreadableImage for a mask that cannot be decoded.
    """
    joined = Image.new("L", size)
    for content in contents:
        with opened_picture(content, limits) as picture:
            mask = picture.marked()
        if mask.size != size:
            return None
        joined = ImageChops.lighter(joined, mask)
    file = io.BytesIO()
    joined.save(file, "PNG")
    return file.getvalue()


def words_of(name: str) -> list[str]:
    """The words and numbers in a folder name, in lower case; "GroundTruth_2" is ground, truth, 2."""
    return [word.casefold() for word in _WORDS.findall(name)]


class _Picture(NamedTuple):
    """name: as given. folders: it lies in, below what all share. stem: of the file."""

    name: str
    folders: Folders
    stem: str


class _Index:
    """Images by where a mask could expect them."""

    def __init__(self, images: Iterable[_Picture]) -> None:
        self._at: dict[tuple[Folders, str], list[str]] = defaultdict(list)
        self._beside: dict[tuple[int, Folders, str], list[str]] = defaultdict(list)
        self._below: dict[tuple[Folders, str], list[str]] = defaultdict(list)
        for name, folders, stem in images:
            self._at[folders, stem.casefold()].append(name)
            for k in range(len(folders)):
                self._beside[k, _without(folders, k), stem.casefold()].append(name)
            for k in range(len(folders) + 1):
                self._below[folders[:k], stem.casefold()].append(name)

    def at(self, folders: Folders, stem: str) -> str | None:
        """The image of this stem in a folder."""
        return _only(self._at.get((folders, stem.casefold()), []))

    def beside(self, folders: Folders, k: int, stem: str) -> str | None:
        """The only image of this stem in a place that differs in the folder at level k."""
        return _only(self._beside.get((k, _without(folders, k), stem.casefold()), []))

    def below(self, folders: Folders, stem: str) -> str | None:
        """The only image of this stem anywhere below a folder."""
        return _only(self._below.get((folders, stem.casefold()), []))


def _readings(picture: _Picture, levels: Sequence[int], index: _Index) -> Iterator[tuple[str, str | None]]:
    """Each (spelling, image or None) under which a picture could be a mask, the likeliest first."""
    stems = [picture.stem, *(stem for _, stem, _ in _marks(picture.stem))]
    if levels:
        spelling = f"{_label(picture, levels)}/"
        yield (
            spelling,
            next((found for stem in stems if (found := _by_folder(picture.folders, levels, stem, index))), None),
        )
    marks = _marks(picture.stem)
    for _, stem, is_suffix in reversed(marks):
        mark = marks[0][0]
        image = index.at(picture.folders, stem)
        if image is None and is_suffix and _STRONG_MARK.fullmatch(mark):
            above = (picture.folders[:k] for k in reversed(range(len(picture.folders))))
            image = next((found for folders in above if (found := index.below(folders, stem))), None)
        yield f"{mark.casefold()} {'after' if is_suffix else 'before'}", None if image == picture.name else image


def _by_folder(folders: Folders, levels: Sequence[int], stem: str, index: _Index) -> str | None:
    """The image of a picture in a mask folder, nearest first: same place, folder beside, only one of its name."""
    for k in reversed(levels):
        found = index.at(_without(folders, k), stem) or index.beside(folders, k, stem)
        if found:
            return found
    rest = tuple(word for k, word in enumerate(folders) if k not in levels)
    found = index.at(rest, stem)
    return found or next((image for k in reversed(levels) if (image := index.below(folders[:k], stem))), None)


def _settle(spelled: dict[str, list[tuple[_Picture, str | None]]], pairs: MaskPairs) -> None:
    """Pair what pairs; where a spelling pairs somewhere, what does not pair under it is a lonely mask."""
    paired: set[str] = set()
    for found in spelled.values():
        for picture, image in found:
            if image is not None:
                pairs.masks.setdefault(image, []).append(picture.name)
                paired.add(picture.name)
    lonely: dict[str, None] = {}
    for spelling, found in spelled.items():
        rest = [picture for picture, _ in found if picture.name not in paired and picture.name not in pairs.masks]
        if any(image is not None for _, image in found):
            lonely.update(dict.fromkeys(picture.name for picture in rest))
        elif spelling.endswith("/") and rest:
            pairs.genuine.append(spelling.removesuffix("/"))
    pairs.lonely = list(lonely)


def _marks(stem: str) -> list[tuple[str, str, bool]]:
    """(mark, stem without it, whether it stood at the end) of a file's stem, peeled off one after the other."""
    found: list[tuple[str, str, bool]] = []
    while len(found) < 3:
        at_end = _SUFFIX.fullmatch(stem) or _CAMEL.fullmatch(stem) or (_KIND_SUFFIX.fullmatch(stem) if found else None)
        match = at_end or _PREFIX.fullmatch(stem)
        if match is None:
            break
        stem = match["stem"]
        found.append((match["mark"], stem, at_end is not None))
    return found


def _label(picture: _Picture, levels: Sequence[int]) -> str:
    """The mask folder a picture lies in, as written."""
    parts = PurePosixPath(picture.name).parts
    return parts[len(parts) - 1 - len(picture.folders) + levels[-1]]


def _mask_folders(names: Iterable[str]) -> set[str]:
    """Those of the folder names that masks lie in. Beside "no mask" or "without mask", "mask" is a class."""
    found = {name: words for name in names if _names_masks(words := words_of(_ODD_PIECE.sub(" ", name)))}
    opposed = any(not _OPPOSITES.isdisjoint(words) for words in found.values())
    return {name for name, words in found.items() if not opposed and _COLLECTIONS.isdisjoint(words)}


def _names_masks(words: list[str]) -> bool:
    is_truth = any(pair == ("ground", "truth") for pair in itertools.pairwise(words))
    return is_truth or not _FOLDER_WORDS.isdisjoint(words)


def _split(name: str) -> tuple[Folders, str]:
    path = PurePosixPath(name)
    return path.parts[:-1], path.stem


def _common_folders(folders: Sequence[Folders]) -> int:
    """How many folders all pictures share: what wraps everything says nothing."""
    depth = 0
    while folders and all(len(f) > depth and f[depth] == folders[0][depth] for f in folders):
        depth += 1
    return depth


def _without(folders: Folders, k: int) -> Folders:
    return folders[:k] + folders[k + 1 :]


def _only(names: Sequence[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def is_below_masks(name: str) -> bool:
    """Whether the first folder of a name is called like one of masks."""
    return "/" in name and bool(_mask_folders([PurePosixPath(name).parts[0]]))
