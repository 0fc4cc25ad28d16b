"""A folder of files named by the SHA-256 of their bytes, and the staging in which new ones wait to be recorded."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from core.disk import told_when_full
from core.errors import InvalidInput, NotFound, Unavailable
from core.scratch import scratch_folder

CHUNK_BYTES = 1024**2
STAGING = ".staging"
MASK = ".mask.png"
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8}){0,2}")
# Windows cannot be asked to write everything out, so there each file waits for itself.
_SYNCS_ALL = hasattr(os, "sync")


class FileStore:
    """Keeps each content once, at `<folder>/<first two digits>/<sha256><suffix>`.

    A file appears by an atomic rename, so a reader never sees half of one, and putting the same bytes twice changes
    nothing. Names come from the content alone, never from a sender.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def put(self, content: bytes | BinaryIO, suffix: str = "", durable: bool = True) -> tuple[str, Path]:
        """Store bytes or a binary stream; give (sha256, path). Raises InvalidInput for an odd suffix.

        durable: wait until the bytes are on the disk. Who stores thousands of files says False and calls `flush` once.
        """
        suffix = suffix.lower()
        if not _SUFFIX.fullmatch(suffix):
            raise InvalidInput("A suffix is a dot and up to 8 letters or digits", f"found {suffix!r}")
        if isinstance(content, bytes | bytearray | memoryview):
            known = self._target(hashlib.sha256(content).hexdigest(), suffix)
            if known.exists():
                return known.name[:64], known
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as target:
                sha256 = _copy(content, target)
                if durable or not _SYNCS_ALL:
                    _sync(target)
            return sha256, self._settle(Path(name), sha256, suffix)
        finally:
            Path(name).unlink(missing_ok=True)

    def flush(self) -> None:
        """Wait until everything stored so far is on the disk."""
        if _SYNCS_ALL:
            os.sync()

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        """A store beside this one for contents that nothing refers to yet; what is not settled goes with the block."""
        with told_when_full(), scratch_folder(self.folder / STAGING) as folder:
            yield Staging(self, folder)

    def path_of(self, sha256: str) -> Path:
        """Where the file with this hash lies. Raises NotFound if the store has none."""
        if _SHA256.fullmatch(sha256):
            for path in sorted((self.folder / sha256[:2]).glob(f"{sha256}*")):
                if ".mask" not in path.suffixes:
                    return path
        raise NotFound("A stored file with this hash", f"found none for {sha256[:64]!r}", "Add the file again.")

    def _target(self, sha256: str, suffix: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}{suffix}"

    def _settle(self, incoming: Path, sha256: str, suffix: str) -> Path:
        target = self._target(sha256, suffix)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.chmod(0o600)
            os.replace(incoming, target)
        return target


class Staging(FileStore):
    """Contents on their way into a store: read, decoded and refused here, and moved only with what refers to them."""

    def __init__(self, store: FileStore, folder: Path) -> None:
        super().__init__(folder)
        self.store = store

    @cached_property
    def targets(self) -> dict[Path, Path]:
        """Where each file here goes to in the store. Asked for once everything is here.

        A mask bears its own hash there beside its image's: sets that share an image may have different masks of it.
        """
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {file: self.store.folder / file.relative_to(self.folder).with_name(_stored_name(file)) for file in files}

    def settle(self) -> None:
        """Move into the store what it does not have. The caller sees to it that nobody deletes from it meanwhile.

        Raises Unavailable if a file is in neither place, so that nothing is recorded without its file.
        """
        for file, target in self.targets.items():
            _place(file, target)
        for folder in {target.parent for target in self.targets.values()}:
            _sync_folder(folder)


def _stored_name(file: Path) -> str:
    if not file.name.endswith(MASK):
        return file.name
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return f"{file.name.removesuffix(MASK)}.{sha256[:16]}{MASK}"


def _place(file: Path, target: Path) -> None:
    if target.exists():
        file.unlink(missing_ok=True)
    elif file.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(0o600)
        os.replace(file, target)
    else:
        raise Unavailable(
            "New files wait until they are recorded",
            "one of them was removed by somebody else meanwhile",
            "Send the files again.",
        )


def _sync_folder(folder: Path) -> None:
    """A move is on the disk when the folder is; Windows opens no folders and writes moves out by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(content: bytes | BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(content):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _sync(file: BinaryIO) -> None:
    """The name promises the content: after a power cut it must not stand for less."""
    file.flush()
    os.fsync(file.fileno())


def _chunks(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
        return
    while chunk := content.read(CHUNK_BYTES):
        yield chunk
