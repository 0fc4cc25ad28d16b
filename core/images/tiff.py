"""What a TIFF says of itself in its first directory: read without a decoder, whose own reading trusts every number."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property

from core.errors import UnreadableImage

MOST_ENTRIES = 4096
_MOST_VALUES = 16
_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
_TYPES |= {13: "I", 16: "Q", 17: "q", 18: "Q"}
_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex floating-point"}
WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, SAMPLES, PLANAR = 256, 257, 258, 262, 274, 277, 284
MIN_SAMPLE, MAX_SAMPLE, EXTRA_SAMPLES, SAMPLE_FORMAT = 280, 281, 338, 339
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2


@dataclass(frozen=True)
class TiffHeader:
    """tags: numbers of the first directory, where there are no more than 16. has_pages: whether another follows."""

    tags: dict[int, tuple[float, ...]]
    has_pages: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as stored, before any rotation."""
        return int(self._first(WIDTH, 0)), int(self._first(HEIGHT, 0))

    @property
    def bits(self) -> int:
        """Bits of the widest sample."""
        return int(max(self.tags.get(BITS) or (1,)))

    @property
    def sample_format(self) -> int:
        """1 unsigned, 2 signed, 3 floating point."""
        return int(self._first(SAMPLE_FORMAT, UNSIGNED))

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return int(self._first(SAMPLES, 1))

    @property
    def photometric(self) -> int:
        """0 white is zero, 1 black is zero, 2 RGB, ..."""
        return int(self._first(PHOTOMETRIC, BLACK_IS_ZERO))

    @property
    def orientation(self) -> int:
        """1 to 8, as in EXIF."""
        return int(self._first(ORIENTATION, 1))

    @property
    def is_planar(self) -> bool:
        """Whether each colour lies in a plane of its own."""
        return self.samples > 1 and self._first(PLANAR, 1) == 2

    @property
    def is_deep(self) -> bool:
        """Whether its samples are anything but unsigned values of up to 8 bits."""
        return self.bits > 8 or (self.sample_format in (SIGNED, FLOAT) and self.bits >= 8)

    @property
    def declared_bits(self) -> int | None:
        """Bits in use, where the file says that they are fewer than its container has."""
        container = 8 * math.ceil(self.bits / 8)
        largest = self._first(MAX_SAMPLE, 0)
        stated = math.ceil(math.log2(largest + 1)) if 0 < largest < 2**self.bits - 1 else self.bits
        return stated if self.sample_format == UNSIGNED and stated < container else None

    @cached_property
    def words(self) -> str:
        """Its kind for people: 'a TIFF of 4 samples of 16 bits (unsigned)'."""
        kind = _KINDS.get(self.sample_format, "unknown")
        apart = ", stored in planes" if self.is_planar else ""
        return f"a TIFF of {self.samples} {kind} sample{'s' * (self.samples > 1)} of {self.bits} bits a pixel{apart}"

    def _first(self, tag: int, default: float) -> float:
        return (self.tags.get(tag) or (default,))[0]


def read_tiff_header(content: bytes) -> TiffHeader:
    """The first directory of a TIFF or BigTIFF.

    Raises UnreadableImage where entries claim more bytes than the file has: a decoder would read each of them anew.
    """
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    try:
        return _read_directory(content, order, is_big)
    except (struct.error, OverflowError) as error:
        raise _damaged("found a damaged or cut-off file header") from error


def _read_directory(content: bytes, order: str, is_big: bool) -> TiffHeader:
    pointer, start_at, count = ("Q", 8, "Q") if is_big else ("I", 4, "H")
    entry, inline = (f"{order}HHQ8s", 8) if is_big else (f"{order}HHI4s", 4)
    (start,) = struct.unpack_from(order + pointer, content, start_at)
    (n_entries,) = struct.unpack_from(order + count, content, start)
    if n_entries > MOST_ENTRIES:
        raise _damaged(f"found a directory of {n_entries:,} entries")
    at, claimed = start + struct.calcsize(order + count), 0
    tags: dict[int, tuple[float, ...]] = {}
    for _ in range(n_entries):
        tag, kind, n, value = struct.unpack_from(entry, content, at)
        at += struct.calcsize(entry)
        one = struct.calcsize(order + _TYPES.get(kind, "B"))
        if n * one > inline:
            claimed += n * one
            (place,) = struct.unpack(order + pointer, value)
            value = content[place : place + min(n, _MOST_VALUES) * one]
        is_number = kind != 2 and len(_TYPES.get(kind, "")) == 1
        if tag in tags and tag in (WIDTH, HEIGHT):
            raise _damaged("found a directory that states its size twice")
        if is_number and n <= _MOST_VALUES and len(value) >= n * one:
            tags[tag] = struct.unpack(f"{order}{n}{_TYPES[kind]}", value[: n * one])
    if claimed > len(content):
        raise _damaged("found tags that claim more bytes than the file has")
    (following,) = struct.unpack_from(order + pointer, content, at)
    return TiffHeader(tags, following not in (0, start))


def _damaged(found: str) -> UnreadableImage:
    return UnreadableImage("A whole TIFF image", found, "Export the image again.")
