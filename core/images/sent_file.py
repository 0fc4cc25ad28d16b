"""What one file from a person is: its content decides, whatever its name says."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import BinaryIO

from core.errors import UnreadableSource
from core.images.archive import ZipSource
from core.images.decode import STORED_SUFFIX, SUFFIXES, sniff_format
from core.images.file_kind import START_BYTES, is_known_suffix
from core.images.limits import Limits
from core.images.sheet import SHEET_SUFFIXES, other_table

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_OFFICE_MEMBER = "[Content_Types].xml"
_TEXT_STARTS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def true_name(name: str, stream: BinaryIO, limits: Limits | None = None) -> str:
    """The name with the suffix that the content stands for: "scans.bin" may become "scans.bin.zip".

    Recognised are zips, MedMNIST archives, images, tables and split files. Nothing is added where the suffix is right
    already, or where the content says nothing. stream: seekable, at its start afterwards.
    """
    suffix = true_suffix(name, stream, limits)
    return name if suffix == PurePosixPath(name).suffix.lower() else f"{name}{suffix}"


def true_suffix(name: str, stream: BinaryIO, limits: Limits | None = None) -> str:
    """The suffix that the content of a file stands for, with its dot; its own where the content says nothing."""
    stream.seek(0)
    start = stream.read(START_BYTES)
    stream.seek(0)
    own = PurePosixPath(name).suffix.lower()
    if start.startswith(_ZIP_STARTS):
        return own if other_table(name) else _archive_suffix(own, stream, limits or Limits())
    form = sniff_format(start)
    if form is not None:
        # A whole slide begins as a TIFF, and what calls itself an archive but is an image is refused as an archive.
        is_right = SUFFIXES.get(own) == form or (own not in SUFFIXES and is_known_suffix(own))
        return own if is_right else STORED_SUFFIX[form]
    if own in SHEET_SUFFIXES or not is_known_suffix(own):
        return _text_suffix(own, start)
    return own


def _archive_suffix(own: str, stream: BinaryIO, limits: Limits) -> str:
    """ ".npz" for a zip of arrays, ".xlsx" for a spreadsheet, else ".zip"."""
    try:
        names = ZipSource(stream, limits).names
    except UnreadableSource:  # whoever opens it next tells why
        names = []
    finally:
        stream.seek(0)
    if not names:
        return own if own == ".npz" else ".zip"
    if all(name.endswith(".npy") for name in names):
        return ".npz"
    return ".xlsx" if _OFFICE_MEMBER in names else ".zip"


def _text_suffix(own: str, start: bytes) -> str:
    """ ".json" or a table's suffix for text, else the file's own."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"{", b"[")):
        return ".json"
    is_text = start.startswith(_TEXT_STARTS) or (bool(start) and b"\x00" not in start and start.isascii())
    return ".csv" if is_text and own not in SHEET_SUFFIXES else own
