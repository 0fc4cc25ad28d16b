"""What files carry beside their pixels, kept small before a decoder sees it: only the orientation matters here.

A decoder parses metadata with loops that are quadratic in its size, or byte by byte: 60 MB of EXIF in a JPEG of one
pixel would take a minute. Files with little of it pass unchanged; from others the bulk is left out in one linear pass.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image

from core.errors import UnreadableImage

MOST_METADATA_BYTES = 128 * 1024
MOST_EXIF_BYTES = 64 * 1024
MOST_PIECES = 100_000
_ORIENTATION = 0x0112
_MARKER = re.compile(rb"\xff[^\xff\0]")
_START_OF_SCAN, _COMMENT = 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_WITHOUT_LENGTH = frozenset((0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))
_LOSSLESS_FRAMES = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_KEPT_SEGMENTS = ((0xE0, b"JFIF"), (0xE1, b"Exif\0\0"), (0xE1, b"http://ns.adobe.com/xap/1.0/\0"), (0xEE, b"Adobe"))
"""What a picture needs of its metadata: how its colours are coded, and which way is up."""
_PNG_START = 8
_KEPT_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"sBIT", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"))


def without_bulk(content: bytes, form: str, most_bytes: int = MOST_METADATA_BYTES) -> bytes:
    """The same picture; where its metadata are more than `most_bytes`, with only what shows it right.

    Raises UnreadableImage for a file of countless pieces.
    """
    if form == "JPEG":
        return _small_jpeg(content, most_bytes)
    return _small_png(content, most_bytes) if form == "PNG" else content


def bound_exif(info: dict[Any, Any]) -> None:
    """Cut what Pillow collected to a size in which its parser is quick. The orientation stands at the beginning."""
    for name in ("exif", "xmp", "XML:com.adobe.xmp"):
        value = info.get(name)
        if isinstance(value, bytes | str) and len(value) > MOST_EXIF_BYTES:
            info[name] = value[:MOST_EXIF_BYTES]
    if len(info.get("Raw profile type exif", "")) > 2 * MOST_EXIF_BYTES:  # hexadecimal, worthless when cut
        del info["Raw profile type exif"]


def orientation_of(image: Image.Image) -> int:
    """How the pixels of an opened image lie, 1 to 8 as in EXIF. A PNG is loaded for it."""
    try:
        bound_exif(image.info)
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block must not hide a readable picture
        return 1


def png_significant_bits(content: bytes) -> bytes | None:
    """The content of a PNG's chunk sBIT, one number a channel, or None."""
    head = content.find(b"sBIT", _PNG_START, content.find(b"IDAT", _PNG_START))
    if head < 0:
        return None
    return next((content[s + 8 : e - 4] for s, e, kind in _chunks(content) if kind == b"sBIT"), None)


def jpeg_kind(content: bytes) -> str | None:
    """What kind of JPEG this is, in words, where it is none of 8 bits a sample; None for usual ones."""
    frame = next(((start, m) for start, _, m in _segments(content) if m in _FRAMES), None)
    if frame is None:
        return None
    start, marker = frame
    bits, kind = content[start + 4], "lossless JPEG" if marker in _LOSSLESS_FRAMES else "JPEG"
    return None if bits == 8 and kind == "JPEG" else f"a {kind} of {bits} bits a sample"


def _small_jpeg(content: bytes, most_bytes: int) -> bytes:
    segments = list(_segments(content))
    needed = [(start, end) for start, end, marker in segments if not _is_metadata(marker)]
    end_of_head = segments[-1][1] if segments else 2
    if end_of_head - 2 - sum(end - start for start, end in needed) <= most_bytes:
        return content
    for kept_marker, title in _KEPT_SEGMENTS:
        found = ((s, e) for s, e, m in segments if m == kept_marker and content.startswith(title, s + 4))
        needed += [next(found, (0, 0))]
    rest = _MARKER.search(content, end_of_head)
    head = b"".join(content[start:end] for start, end in sorted(needed))
    return content[:2] + head + (content[rest.start() :] if rest else b"")


def _is_metadata(marker: int) -> bool:
    return marker in _APPLICATION or marker == _COMMENT


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(start, end, marker) of each segment before the first scan; ends at whatever is no segment."""
    at = 2
    for _ in range(MOST_PIECES):
        found = _MARKER.search(content, at)
        marker = found.group()[1] if found else 0
        if found is None or marker < 0xC0 or marker == _START_OF_SCAN:
            return
        start = found.start()
        at = start + 2
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(content[at : at + 2], "big")
        if at > len(content) or at == start + 3:
            return
        yield start, at, marker
    raise _countless()


def _small_png(content: bytes, most_bytes: int) -> bytes:
    """A PNG without texts, profiles and private chunks."""
    chunks = list(_chunks(content))
    others = [(start, end) for start, end, kind in chunks if kind not in _KEPT_CHUNKS]
    if not others or sum(end - start for start, end in others) <= most_bytes:
        return content
    needed = [
        content[start:end]
        for start, end, kind in chunks
        if kind in _KEPT_CHUNKS or (kind == b"eXIf" and end - start <= MOST_EXIF_BYTES)
    ]
    return content[:_PNG_START] + b"".join(needed) + content[chunks[-1][1] :]


def _chunks(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(start, end, kind) of each whole chunk."""
    at = _PNG_START
    for _ in range(MOST_PIECES):
        if at + 12 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content) or kind == b"IEND":
            return
        yield at, end, kind
        at = end
    raise _countless()


def _countless() -> UnreadableImage:
    return UnreadableImage(
        f"A file of at most {MOST_PIECES:,} pieces", "found more", "Open the picture and export it again."
    )
