"""Small makers of image files, folders and zips, honest and hostile."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (24, 20), mode: str = "L") -> Image.Image:
    """A noise picture; another seed gives other bytes."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode)


def encoded(seed: int = 0, form: str = "PNG", image: Image.Image | None = None, **options: Any) -> bytes:
    """The bytes of a picture in a format."""
    file = io.BytesIO()
    (image or picture(seed)).save(file, form, **options)
    return file.getvalue()


def class_files(
    per_class: int = 4, classes: Iterable[str] = ("benign", "malignant"), start: int = 0
) -> dict[str, bytes]:
    """{"<class>/<n>.png": bytes}, all different."""
    files = {}
    for k, name in enumerate(classes):
        for n in range(per_class):
            files[f"{name}/{n}.png"] = encoded(start + 1000 * k + n)
    return files


def parted_files(train: int = 3, test: int = 2, classes: Iterable[str] = ("benign", "malignant")) -> dict[str, bytes]:
    """The same below train/ and test/."""
    classes = tuple(classes)
    files = {f"train/{name}": content for name, content in class_files(train, classes).items()}
    return files | {f"test/{name}": content for name, content in class_files(test, classes, start=500).items()}


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zip_bytes(files: dict[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]], method: int = 8) -> bytes:
    """A zip of files, in order; a list may hold a name twice or ready-made members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return file.getvalue()


def member(name: str, mode: int = stat.S_IFREG | 0o644, method: int = 8) -> zipfile.ZipInfo:
    """A zip member whose name is taken as it is."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    info.compress_type = method
    return info


def patch_flags(archive: bytes, name: bytes, flag: int) -> bytes:
    """The archive with a general-purpose flag set for one member, in both of its headers."""
    raw = bytearray(archive)
    for signature, flags_at, name_at in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        start = 0
        while (start := raw.find(signature, start)) >= 0:
            if raw[start + name_at : start + name_at + len(name)] == name:
                raw[start + flags_at] |= flag & 0xFF
                raw[start + flags_at + 1] |= flag >> 8
            start += 4
    return bytes(raw)


def png_of_size(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be huge."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def overlapping_zip(count: int = 5) -> bytes:
    """A zip whose directory names the same bytes many times."""
    one = zip_bytes({"benign/0.png": encoded(1)})
    directory = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry = one[directory:end]
    entries = b"".join(entry.replace(b"benign/0.png", b"benign/%d.png" % n) for n in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(entries), directory, 0)
    return one[:directory] + entries + tail


def many_empty_entries(count: int) -> bytes:
    """A zip directory of very many empty files, made without a million Python objects."""
    local = b"PK\x03\x04" + bytes(26)
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0)
    entries = b"".join(entry + b"%07d" % n for n in range(count))
    shown = min(count, 0xFFFF)
    return local + entries + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, shown, shown, len(entries), len(local), 0)
