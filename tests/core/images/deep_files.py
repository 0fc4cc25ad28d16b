"""Deep PNG and TIFF files written byte by byte, in kinds that scanners write and Pillow does not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
Tag = tuple[int, int, Sequence[float]]
"""Number, type (3: 16 bits, 4: 32 bits, 7: bytes) and values."""


def brain(seed: int = 1, size: int = 96) -> np.ndarray:
    """A bright disc with smooth structure on black, as shares of 1; the largest value is 1."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    waves = np.sin(9 * x + seed) * np.cos(7 * y - seed)
    disc = np.clip(1.6 - 4 * np.hypot(x, y), 0, 1)
    found = disc * (0.55 + 0.3 * waves)
    return found / found.max()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png16(values: np.ndarray, before: bytes = b"") -> bytes:
    """A 16-bit PNG of grey, grey with alpha, RGB or RGBA. before: chunks that stand before the pixels."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.reshape(height, -1))
    head = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOURS[channels], 0, 0, 0)
    body = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(
    values: np.ndarray,
    order: str = "<",
    *,
    photometric: int = 1,
    bits: int | None = None,
    packed: bool = False,
    extra: Sequence[int] = (),
    tags: Sequence[Tag] = (),
    planar: bool = False,
    next_page: int = 0,
) -> bytes:
    """A TIFF of any type of values, (h, w) or (h, w, n). order: "<" or ">". packed: deflate."""
    height, width = values.shape[:2]
    n = values.shape[2] if values.ndim == 3 else 1
    bits = bits or values.dtype.itemsize * 8
    planes = [values[..., i] for i in range(n)] if planar else [values]
    strips = [_packed_bits(p, bits) if bits in (10, 12, 14) else p.astype(p.dtype.newbyteorder(order)).tobytes()
              for p in planes]  # fmt: skip
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    places = [8 + sum(len(s) for s in strips[:i]) for i in range(len(strips))]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries: list[Tag] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * n), (259, 3, [8 if packed else 1]),
        (262, 3, [photometric]), (273, 4, places), (277, 3, [n]), (278, 4, [height]),
        (279, 4, [len(s) for s in strips]), (284, 3, [2 if planar else 1]), (339, 3, [kind] * n), *tags,
    ]  # fmt: skip
    entries += [(338, 3, list(extra))] if extra else []
    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    start = 8 + len(body)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", start) + body + _directory(sorted(entries), order, start, next_page)


def _directory(entries: list[Tag], order: str, start: int, next_page: int) -> bytes:
    tail_at, tail = start + 2 + 12 * len(entries) + 4, b""
    out = struct.pack(order + "H", len(entries))
    for number, kind, values in entries:
        content = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I' if kind == 4 else 'B'}", *values)
        out += struct.pack(order + "HHI", number, kind, len(values))
        out += content.ljust(4, b"\0") if len(content) <= 4 else struct.pack(order + "I", tail_at + len(tail))
        tail += content if len(content) > 4 else b""
    return out + struct.pack(order + "I", next_page) + tail


def _packed_bits(values: np.ndarray, bits: int) -> bytes:
    rows = b""
    for row in values.reshape(len(values), -1):
        digits = "".join(format(int(value), f"0{bits}b") for value in row)
        digits += "0" * (-len(digits) % 8)
        rows += int(digits, 2).to_bytes(len(digits) // 8, "big")
    return rows
