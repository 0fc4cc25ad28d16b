"""Finding the files that the cells of a table mean: paths, ids without a suffix, other suffixes, other folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from core.images.decode import SUFFIXES


@dataclass(frozen=True)
class Match:
    """What a cell names. keys: the file, or all files of the folder that it names. rivals: more than one file fits.

    is_loose: the name agrees and a written folder does not.
    """

    keys: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    is_folder: bool = False
    is_loose: bool = False

    @property
    def is_known(self) -> bool:
        """Whether a file fits, one or several."""
        return bool(self.keys or self.rivals)


class FileIndex:
    """The files of a source by the ways a table may write them.

    names: files that may be meant. exact: further names that are found only as they are written, such as masks.
    """

    def __init__(self, names: Iterable[str], exact: Iterable[str] = ()) -> None:
        self.names = sorted(names, key=lambda name: PurePosixPath(name).suffix.lower() not in SUFFIXES)
        self._exact = {*self.names, *exact}

    def has(self, name: str) -> bool:
        """Whether there is a file of exactly this name."""
        return name in self._exact

    def find(self, written: str, base: str = "") -> Match:
        """The file or folder that a checked name with `/` between folders means.

        base: the folder, ending in "/", that written paths start from; tried before all others.
        """
        if self.has(base + written):
            return Match((base + written,))
        path = PurePosixPath(written)
        for candidates in (
            self._by_name.get(path.name.casefold(), ()),
            self._by_stem.get(_stem(path.name), ()),
            self._by_number.get(_number(path.name), ()),
        ):
            found = self._best(path, candidates)
            if found:
                is_loose = len(path.parts) > 1 and not _shared_tail(_folders_of(written), found[0])
                return Match((found[0],), is_loose=is_loose) if len(found) == 1 else Match(rivals=tuple(found))
        return self._below(path)

    def _best(self, path: PurePosixPath, candidates: Sequence[str]) -> list[str]:
        """Of files with this name, those whose folders agree best with the written ones.

        A written folder must agree in its last part, unless there is no folder of that name anywhere: then the table
        was written where the images lay somewhere else.
        """
        folders = _folders_of(str(path))
        if not candidates or not folders:
            return list(candidates)
        agreeing = {name: _shared_tail(folders, name) for name in candidates}
        best = max(agreeing.values())
        if best == 0 and folders[-1] in self._folder_names:
            return []
        return [name for name, count in agreeing.items() if count == best]

    def _below(self, path: PurePosixPath) -> Match:
        """All files of the one folder that a cell names."""
        written = tuple(part.casefold() for part in path.parts)
        found = [folder for folder in self._folders.get(written[-1:], ()) if _ends_with(folder, written)]
        if len(found) != 1:
            return Match()
        return Match(tuple(self._folder_files[found[0]]), is_folder=True)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: PurePosixPath(name).name.casefold())

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: _stem(PurePosixPath(name).name))

    @cached_property
    def _by_number(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: _number(PurePosixPath(name).name))

    @cached_property
    def _folder_names(self) -> set[str]:
        return {folder[-1] for folder in self._folder_files if folder}

    @cached_property
    def _folder_files(self) -> dict[tuple[str, ...], list[str]]:
        files: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name in self.names:
            parts = tuple(_folders_of(name))
            for depth in range(1, len(parts) + 1):
                files[parts[:depth]].append(name)
        return files

    @cached_property
    def _folders(self) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
        found: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
        for folder in self._folder_files:
            found[folder[-1:]].append(folder)
        return found


def _grouped(names: Sequence[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Names by key; files that are no images only where no image has the key."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        is_image = PurePosixPath(name).suffix.lower() in SUFFIXES
        if (value := key(name)) and (is_image or not found[value]):
            found[value].append(name)
    return found


def _stem(name: str) -> str:
    """The name without an image's suffix; other dots belong to it, as in "1.2.840.113"."""
    path = PurePosixPath(name)
    is_suffix = path.suffix.lower() in SUFFIXES or path.suffix.lower() in (".dcm", ".dicom", ".gif")
    return (path.stem if is_suffix else name).casefold()


def _number(name: str) -> str:
    """For names that are whole numbers: the number as a spreadsheet writes it, without zeros before it."""
    stem = _stem(name).removesuffix(".0")
    return (stem.lstrip("0") or "0") if stem.isascii() and stem.isdigit() else ""


def _folders_of(name: str) -> list[str]:
    return [part.casefold() for part in PurePosixPath(name).parts[:-1]]


def _shared_tail(folders: list[str], name: str) -> int:
    """How many folders agree, counted from the file upwards."""
    have = _folders_of(name)
    count = 0
    for mine, other in zip(reversed(folders), reversed(have), strict=False):
        if mine != other:
            break
        count += 1
    return count


def _ends_with(folder: tuple[str, ...], written: tuple[str, ...]) -> bool:
    shared = min(len(folder), len(written))
    return folder[-shared:] == written[-shared:]
