"""Names and archives from strangers: what a name may look like, and how a zip is read without trusting it.

Members are streamed one by one and counted after decompression; the sizes an archive declares are never used as
limits. Nothing is written under a sender's name. What can only be an attack (overlapping members, far too many
entries) refuses the whole archive; any other oddity refuses one member and keeps the rest.
"""

from __future__ import annotations

import itertools
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from core.errors import InvalidInput, UnreadableSource
from core.images.decode import SUFFIXES, describe_content
from core.images.file_kind import START_BYTES, suffix_of
from core.images.labelled_image import Problem
from core.images.limits import Limits, megabytes
from core.images.zip_names import sent_names
from core.text import shown, text_fault

CHUNK_BYTES = 1024**2
ARCHIVE_SUFFIXES = frozenset(
    (
        ".zip",
        ".tar",
        ".gz",
        ".tgz",
        ".bz2",
        ".tbz2",
        ".xz",
        ".txz",
        ".7z",
        ".rar",
        ".zst",
        ".lz4",
        ".jar",
        ".cab",
        ".iso",
    )
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "$recycle.bin"})
_OF_PROGRAMS = (
    ".git .svn .hg .dvc .cache .config .local .venv .tox .idea .vscode .ipynb_checkpoints .thumbnails .@__thumb .nfs "
    ".appledouble .spotlight-v100 .fseventsd .temporaryitems .documentrevisions-v100 .picasaoriginals .dropbox.cache "
    ".sync .stfolder .stversions .snapshot .snapshots .zfs"
)
_SYSTEM_FOLDERS = frozenset(_OF_PROGRAMS.split())
"""Hidden folders that programs make, in which pictures are nobody's class."""
_SYSTEM_FOLDERS_BEGIN = ("._", ".trash", ".nfs", ".smbdelete", ".syncthing")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COMPRESSIONS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
}


class RefusedFile(InvalidInput):
    """One file of a source that is refused; `problem` is a stable word for its kind."""

    def __init__(self, problem: str, expected: str, found: str, remedy: str = "") -> None:
        super().__init__(expected, found, remedy)
        self.problem = problem

    def about(self, name: str) -> Problem:
        """The same as a problem of the named file."""
        return Problem(name, self.problem, self.expected, self.found)


def is_ignored(name: str) -> bool:
    """Whether a relative name belongs to what systems leave lying about: hidden files, `__MACOSX`, `Thumbs.db`."""
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        return False  # an attack is told even where it aims at a hidden file
    return any((p.startswith(".") and p not in (".", "..")) or p.casefold() in _IGNORED for p in parts)


def is_system_folder(folder: str) -> bool:
    """Whether the name of a hidden folder is one that systems and programs give."""
    folded = folder.casefold()
    return folded in _IGNORED | _SYSTEM_FOLDERS or folded.startswith(_SYSTEM_FOLDERS_BEGIN)


class HiddenPictures:
    """Counts the ignored pictures that lie in a folder which somebody, and no program, gave a name with a dot in front.

    Such a folder is hidden from whoever looks at the others, so that a class can go missing without a word.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def note(self, name: str) -> None:
        """Count an ignored file, by its relative name."""
        *folders, file = PurePosixPath(name).parts
        hidden = [at for at, folder in enumerate(folders) if folder.startswith(".") and folder not in (".", "..")]
        if not hidden or file.startswith(".") or suffix_of(file) not in SUFFIXES:
            return
        if not any(is_system_folder(folder) for folder in folders):
            self._counts["/".join(folders[: hidden[0] + 1])] += 1

    @property
    def problems(self) -> list[Problem]:
        """One for each folder, under its name."""
        return [
            Problem(
                f"{printable(folder)}/",
                "hidden_folder",
                "Folders whose names do not begin with a dot",
                f"found {'1 image' if n == 1 else f'{n:,} images'} in this one, which is hidden and was left out",
            )
            for folder, n in self._counts.items()
        ]


def safe_name(raw: str, limits: Limits | None = None) -> str:
    """A sender's relative name in NFC with `/` between parts, checked; used for display and layout only.

    Raises RefusedFile (problem "unsafe_name") for `..`, absolute, drive, UNC and backslash names, control characters,
    names Windows reserves and names that are too long.
    """
    limits = limits or Limits()
    name = unicodedata.normalize("NFC", raw)
    found = _name_fault(name) or _length_fault(name, limits)
    if found:
        raise RefusedFile("unsafe_name", "A plain relative file name", found, "Rename the file.")
    return str(PurePosixPath(name))


def with_slashes(name: str) -> str:
    """A name as some Windows programs write it, with `/` between its parts; to be checked only afterwards."""
    return name.replace("\\", "/")


def printable(raw: str) -> str:
    """A refused name made fit for a screen: control characters replaced, at most 200 characters."""
    return shown(raw)


def _name_fault(name: str) -> str | None:
    """What is wrong with the shape of a name, in words, or None."""
    parts = name.split("/")
    if not name.strip():
        return "found an empty name"
    if text_fault(name):
        return "found control characters or marks of direction in the name"
    if name.startswith(("\\\\", "//")):
        return "found a network (UNC) path"
    if name.startswith("/"):
        return "found an absolute path"
    if _DRIVE.match(name):
        return "found a path with a drive letter"
    if "\\" in name:
        return "found backslashes in the name"
    if ".." in parts:
        return "found '..', which leaves the folder"
    reserved = next((p for p in parts if _RESERVED.fullmatch(p.split(".")[0].strip())), None)
    return f"found '{reserved}', a name that Windows reserves" if reserved else None


def _length_fault(name: str, limits: Limits) -> str | None:
    if len(name.encode()) > limits.max_name_bytes:
        return f"found a name of {len(name.encode())} bytes, more than {limits.max_name_bytes}"
    longest = max(len(part.encode()) for part in name.split("/"))
    return (
        f"found a name of {longest} bytes, more than {limits.max_part_bytes}"
        if longest > limits.max_part_bytes
        else None
    )


class ZipSource:
    """The members of a zip that may be read, by their checked names.

    stream: a seekable binary stream, left open. `names` are the readable members in archive order, `problems` the
    refused ones. Raises UnreadableSource if the archive as a whole cannot be read or cannot be honest.
    """

    def __init__(self, stream: BinaryIO, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._read_bytes = 0
        _check_start(stream)
        self._zip = _open_zip(stream, self.limits)
        self._members = self._admit(self._zip.infolist())

    @property
    def names(self) -> list[str]:
        """Readable members, in archive order."""
        return list(self._members)

    def has(self, name: str) -> bool:
        """Whether there is a readable member of this name."""
        return name in self._members

    def folders(self) -> list[str]:
        """First-level folders, sorted."""
        return sorted({name.split("/")[0] for name in self._members if "/" in name})

    def path(self, name: str) -> None:
        """Members lie nowhere on disk."""
        return None

    def packed_bytes(self, name: str) -> int:
        """Bytes of a member in the archive, before it is unpacked."""
        return self._members[name].compress_size

    def open(self, name: str) -> IO[bytes]:
        """One member as a stream; whoever reads it counts."""
        return self._zip.open(self._members[name])

    def start(self, name: str) -> bytes:
        """The first bytes of a member; none if they cannot be read."""
        try:
            with self._zip.open(self._members[name]) as member:
                return member.read(START_BYTES)
        except Exception:  # as in `read`, which tells what is wrong
            return b""

    def read(self, name: str) -> bytes:
        """The content of one member, decompressed under the limits.

        Raises RefusedFile for a member that is damaged, a bomb or too large, and UnreadableSource when the archive
        as a whole has given more than `max_total_bytes`.
        """
        info = self._members[name]
        chunks: list[bytes] = []
        size = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(CHUNK_BYTES):
                    size += len(chunk)
                    self._count(size, len(chunk), info)
                    chunks.append(chunk)
        except InvalidInput:
            raise
        # zipfile meets lying headers with BadZipFile, but also with value, struct, zlib, system and runtime errors.
        except Exception as error:
            raise RefusedFile(
                "damaged", "A whole archive member", "found damaged or cut-off data", "Make the zip again."
            ) from error
        return b"".join(chunks)

    def _count(self, size: int, step: int, info: zipfile.ZipInfo) -> None:
        """Hold the bytes that really came out against the limits."""
        limits = self.limits
        self._read_bytes += step
        if self._read_bytes > limits.max_total_bytes:
            raise UnreadableSource(
                f"An archive holds at most {megabytes(limits.max_total_bytes)} unpacked", "found more", "Split it."
            )
        if size > limits.ratio_floor_bytes and size > limits.max_ratio * max(1, info.compress_size):
            raise RefusedFile(
                "bomb",
                f"A file that unpacks to at most {limits.max_ratio:g} times its packed size",
                "found a decompression bomb",
            )
        if size > limits.max_file_bytes:
            raise RefusedFile("too_large", f"At most {megabytes(limits.max_file_bytes)} a file", "found a larger one")

    def _admit(self, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        """Members that may be read; the others become problems."""
        files = [info for info in infos if not info.filename.endswith("/")]
        if len(files) > self.limits.max_files:
            raise UnreadableSource(
                f"An archive holds at most {self.limits.max_files:,} files", f"found {len(files):,}", "Split it."
            )
        _check_overlap(files)
        members: dict[str, zipfile.ZipInfo] = {}
        folded: dict[str, str] = {}
        sent, note = sent_names(files)
        self.notes += [note] if note else []
        hidden = HiddenPictures()
        for info, raw in zip(files, sent, strict=True):
            if is_ignored(with_slashes(raw)):
                hidden.note(with_slashes(raw))
                continue
            try:
                name = safe_name(with_slashes(raw), self.limits)
                _check_member(info, name)
                check_new(name, folded)
            except RefusedFile as refusal:
                self.problems.append(refusal.about(printable(raw)))
            else:
                members[name] = info
        self.problems += hidden.problems
        return members


def check_nested(name: str) -> None:
    """Refuse archives inside a source by their names."""
    suffix = suffix_of(name)
    if suffix in ARCHIVE_SUFFIXES:
        raise RefusedFile(
            "nested_archive", "Images, not archives", f"found an archive inside ({suffix})", "Unpack it first."
        )


def _check_member(info: zipfile.ZipInfo, name: str) -> None:
    """Refuse members that are not plain files with plain compression."""
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise RefusedFile("symlink", "A file", "found a symbolic link", "Put the file itself into the zip.")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise RefusedFile("special_file", "A file", "found a device or another special file")
    if info.flag_bits & 0x2041:
        raise RefusedFile("encrypted", "A file without a password", "found an encrypted one", "Zip it without one.")
    check_nested(name)
    if info.compress_type not in _METHODS:
        raise RefusedFile(
            "compression",
            "Members stored or deflated",
            f"found another compression, {_COMPRESSIONS.get(info.compress_type, 'an unknown one')}",
            "Make the zip with the method Deflate.",
        )


def check_new(name: str, folded: dict[str, str]) -> None:
    """Refuse a name that is there already, also when only upper and lower case differ."""
    earlier = folded.get(name.casefold())
    if earlier == name:
        raise RefusedFile("duplicate_name", "Each name once", "found a second file of this name; the first was kept")
    if earlier is not None:
        raise RefusedFile(
            "case_collision", "Names that differ in more than case", f"found '{earlier}' as well, which was kept"
        )
    folded[name.casefold()] = name


def _check_overlap(files: list[zipfile.ZipInfo]) -> None:
    """Refuse archives in which members share bytes: only bombs are built that way."""
    spans = sorted((i.header_offset, i.header_offset + 30 + i.compress_size) for i in files)
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start < end:
            raise UnreadableSource(
                "Archive members that lie one after the other",
                "found members that overlap, as in decompression bombs",
                "Make the zip again from the images.",
            )


class _CappedReads:
    """A stream that never gives more than `limit` bytes at once, so that no central directory fills the memory."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def read(self, size: int = -1) -> bytes:
        if size > self._limit:
            raise UnreadableSource(
                f"A zip directory of at most {megabytes(self._limit)}",
                f"found {megabytes(size)}, which means far too many entries",
                "Split the archive.",
            )
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True


def _check_start(stream: BinaryIO) -> None:
    """Refuse what does not begin as a zip: other archives, and files that are two things at once."""
    stream.seek(0)
    begin = stream.read(START_BYTES)
    stream.seek(0)
    if begin[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        ends_as_zip = zipfile.is_zipfile(stream)
        stream.seek(0)
        found = (
            "found a file that begins as something else and ends as a zip"
            if ends_as_zip
            else f"found something else, {describe_content(begin)}"
        )
        raise UnreadableSource("A zip archive", found, "Send the images as a plain .zip file.")


def _open_zip(stream: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_CappedReads(stream, limits.max_directory_bytes))  # type: ignore[arg-type]
    except InvalidInput:
        raise
    # A damaged directory shows as BadZipFile, but also as struct, value or decoding errors: all mean the same.
    except Exception as error:
        raise UnreadableSource(
            "A whole zip archive", "found a damaged or cut-off one", "Make the zip again and send it once more."
        ) from error
