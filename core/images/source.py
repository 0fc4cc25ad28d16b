"""Where the files of an image set come from: a folder, an upload of many files, a zip with a manifest beside it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import UnreadableSource
from core.images.archive import (
    HiddenPictures,
    RefusedFile,
    check_nested,
    check_new,
    is_ignored,
    is_system_folder,
    printable,
    safe_name,
    with_slashes,
)
from core.images.file_kind import START_BYTES
from core.images.labelled_image import Problem
from core.images.limits import Limits, megabytes
from core.text import text_fault


class Source(Protocol):
    """Named files of one sender. Names are relative, in NFC, with `/`."""

    problems: list[Problem]
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """All readable files; hidden ones and system litter left out."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def folders(self) -> list[str]:
        """First-level folders, sorted."""

    def path(self, name: str) -> Path | None:
        """Where the file lies and may stay, or None if its bytes must be stored first."""

    def start(self, name: str) -> bytes:
        """Its first bytes (`file_kind.START_BYTES`); none if they cannot be read."""

    def read(self, name: str) -> bytes:
        """Its bytes. Raises RefusedFile."""


class FolderSource:
    """Files below a folder of this machine. Links are followed, each folder once."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder, self.limits = folder, limits or Limits()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._found: dict[str, Path] = {}

    @cached_property
    def names(self) -> list[str]:
        visited: set[str] = set()
        hidden: list[Path] = []
        for root, folders, files in os.walk(self.folder, followlinks=True):
            real = os.path.realpath(root)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            hidden += [Path(root, name) for name in folders if is_ignored(name) and not is_system_folder(name)]
            folders[:] = sorted(name for name in folders if not is_ignored(name))
            for file in sorted(files):
                self._admit(Path(root, file))
        self._tell_hidden(hidden, visited)
        return list(self._found)

    def _tell_hidden(self, hidden: Iterable[Path], visited: set[str]) -> None:
        """Name the folders whose pictures are left out for the dot in front of their names; those reached by a link are
        not.
        """
        pictures = HiddenPictures()
        for place in sorted(hidden):
            for root, folders, files in os.walk(place):
                if os.path.realpath(root) in visited:
                    folders.clear()
                    continue
                for file in files:
                    pictures.note(Path(root, file).relative_to(self.folder).as_posix())
        self.problems += pictures.problems

    def has(self, name: str) -> bool:
        return self._locate(name) is not None

    def folders(self) -> list[str]:
        with os.scandir(self.folder) as entries:
            return sorted(_nfc(entry.name) for entry in entries if entry.is_dir() and not is_ignored(entry.name))

    def path(self, name: str) -> Path | None:
        return self._locate(name)

    def start(self, name: str) -> bytes:
        path = self._locate(name)
        try:
            with (path or Path()).open("rb") as file:
                return file.read(START_BYTES)
        except OSError:  # `read` tells why
            return b""

    def read(self, name: str) -> bytes:
        path = self._locate(name)
        try:
            if path is None:
                raise FileNotFoundError(2, "no such file")
            with path.open("rb") as file:
                content = file.read(self.limits.max_file_bytes + 1)
        except OSError as error:
            raise RefusedFile("unreadable_file", "A file that can be read", f"found: {error.strerror}") from error
        return _bounded(content, self.limits)

    def _admit(self, path: Path) -> None:
        name = path.relative_to(self.folder).as_posix()
        if is_ignored(name):
            return
        if text_fault(name):
            refused = RefusedFile("unsafe_name", "A plain relative file name", "found characters that cannot be shown")
            self.problems.append(refused.about(printable(name)))
            return
        self._found[self._shown_name(name)] = path
        if len(self._found) > self.limits.max_files:
            raise UnreadableSource(
                f"A folder of at most {self.limits.max_files:,} files", "found more", "Point at the images only."
            )

    def _shown_name(self, name: str) -> str:
        """The name in our form; "train\\a\\1.png" is what some programs make of a zip written on Windows."""
        try:
            return safe_name(with_slashes(name), self.limits) if "\\" in name else _nfc(name)
        except RefusedFile:  # a backslash that means no folder
            return _nfc(name)

    def _locate(self, name: str) -> Path | None:
        """The file of a name, also where the disk spells it decomposed (NFD), as some systems do."""
        if name in self._found:
            return self._found[name]
        spellings = (name, unicodedata.normalize("NFD", name))
        return next((path for s in spellings if (path := self.folder / s).is_file()), None)


class UploadSource:
    """Files of one upload, each a (relative name, binary stream); streams are read once, when asked for."""

    def __init__(self, files: Iterable[tuple[str, BinaryIO]], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._streams: dict[str, BinaryIO] = {}
        self._read_bytes = 0
        folded: dict[str, str] = {}
        hidden = HiddenPictures()
        for raw, stream in files:
            if is_ignored(with_slashes(raw)):
                hidden.note(with_slashes(raw))
                continue
            try:
                name = safe_name(with_slashes(raw), self.limits)
                check_nested(name)
                check_new(name, folded)
                self._streams[name] = stream
            except RefusedFile as refusal:
                self.problems.append(refusal.about(printable(raw)))
        self.problems += hidden.problems
        if len(self._streams) > self.limits.max_files:
            raise UnreadableSource(
                f"An upload of at most {self.limits.max_files:,} files", f"found {len(self._streams):,}", "Split it."
            )

    @property
    def names(self) -> list[str]:
        return list(self._streams)

    def has(self, name: str) -> bool:
        return name in self._streams

    def folders(self) -> list[str]:
        return sorted({name.split("/")[0] for name in self._streams if "/" in name})

    def path(self, name: str) -> None:
        return None

    def start(self, name: str) -> bytes:
        self._streams[name].seek(0)
        return self._streams[name].read(START_BYTES)

    def read(self, name: str) -> bytes:
        stream = self._streams[name]
        stream.seek(0)
        content = stream.read(self.limits.max_file_bytes + 1)
        self._read_bytes += len(content)
        if self._read_bytes > self.limits.max_total_bytes:
            raise UnreadableSource(
                f"An upload of at most {megabytes(self.limits.max_total_bytes)}", "found more", "Split it."
            )
        return _bounded(content, self.limits)


class OverlaySource:
    """A source with one more file, its manifest, at the root."""

    def __init__(self, base: Source, name: str, content: bytes) -> None:
        self.base, self.name, self.content = base, name, content
        self.problems, self.notes = base.problems, base.notes

    @property
    def names(self) -> list[str]:
        return [self.name, *(name for name in self.base.names if name != self.name)]

    def has(self, name: str) -> bool:
        return name == self.name or self.base.has(name)

    def folders(self) -> list[str]:
        return self.base.folders()

    def path(self, name: str) -> Path | None:
        return self.base.path(name)

    def start(self, name: str) -> bytes:
        return self.content[:START_BYTES] if name == self.name else self.base.start(name)

    def read(self, name: str) -> bytes:
        return self.content if name == self.name else self.base.read(name)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _bounded(content: bytes, limits: Limits) -> bytes:
    if len(content) > limits.max_file_bytes:
        raise RefusedFile("too_large", f"At most {megabytes(limits.max_file_bytes)} a file", "found a larger one")
    return content
