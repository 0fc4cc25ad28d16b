"""MedMNIST archives: `.npz` files of image and label arrays, read row by row without unpickling anything.

An archive may hold far more images than a set: then some are drawn from each class and part, and only their rows are
kept while the arrays stream by.
"""

from __future__ import annotations

import functools
import io
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

import numpy as np
from PIL import Image

from core.errors import InvalidInput, UnreadableSource
from core.images.archive import ZipSource, printable
from core.images.class_names import check_distinct, class_name
from core.images.file_kind import START_BYTES
from core.images.labelled_image import PARTS, Part, Problem
from core.images.limits import Limits, megabytes
from core.images.plan import Entry, Plan
from core.images.sheet import Sheet, decode_text, read_sheet

_SHAPE = (
    "A MedMNIST .npz: <part>_images of 8 bits, (n, height, width) or (n, height, width, 3), and <part>_labels (n, 1)"
)
_MOST_CLASSES = 1000
_MOST_ROWS = 5_000_000
_MOST_STREAMED_BYTES = 64 * 1024**3
_LEAST_DRAWN = (64, 32, 20, 8, 4, 2, 1)
NAMES_SUFFIXES = (".json", ".txt", ".csv")
_NAMES_SHAPE = 'Class names as ["name", ...], {"0": "name", ...}, one name a line, or a CSV with label and name'


def _damage_told(read: Callable[..., Any]) -> Callable[..., Any]:
    """Give a sentence for whatever zipfile throws at damaged bytes, as in `ZipSource.read`."""

    @functools.wraps(read)
    def guarded(*arguments: Any) -> Any:
        try:
            return read(*arguments)
        except InvalidInput:
            raise
        except Exception as error:  # see `ZipSource.read`
            raise UnreadableSource(_SHAPE, "found damaged or cut-off data", "Download the file again.") from error

    return guarded


class MedMnistSource:
    """The images of an .npz as files made on demand.

    Each image becomes a BMP, because its bytes do not depend on the version of a compression library: the fingerprint
    of the set is the same on every machine.
    """

    def __init__(self, stream: BinaryIO, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._archive = ZipSource(stream, self.limits)
        self.labels: dict[Part, np.ndarray] = {}
        self._arrays: dict[str, tuple[IO[bytes], tuple[int, ...], int]] = {}
        for part in PARTS:
            if self._archive.has(f"{part}_images.npy"):
                self.labels[part] = self._read_labels(part)
        if not self.labels:
            raise UnreadableSource(_SHAPE, f"found {', '.join(self._archive.names[:6]) or 'nothing'}")

    @property
    def names(self) -> list[str]:
        return [f"{part}/{row:06d}.bmp" for part, labels in self.labels.items() for row in range(len(labels))]

    def has(self, name: str) -> bool:
        part, _, row = name.partition("/")
        labels = self.labels.get(part, ())  # type: ignore[call-overload]
        return bool(re.fullmatch(r"[0-9]{6,}\.bmp", row)) and int(row.removesuffix(".bmp")) < len(labels)

    @property
    def image_bytes(self) -> int:
        """Bytes of the largest image."""
        return max(math.prod(self._open(part)[1][1:]) for part in self.labels)

    def folders(self) -> list[str]:
        return list(self.labels)

    def path(self, name: str) -> None:
        return None

    def start(self, name: str) -> bytes:
        return self.read(name)[:START_BYTES]

    @_damage_told
    def read(self, name: str) -> bytes:
        """One image as BMP; cheap when rows are asked for in order, as the loader does."""
        part, row = name.split("/")[0], int(name.split("/")[1].removesuffix(".bmp"))
        stream, shape, position = self._arrays.get(part) or self._open(part)
        if row < position:
            stream, shape, position = self._open(part)
        size = math.prod(shape[1:])
        while position <= row:
            content = stream.read(size)
            position += 1
        self._arrays[part] = (stream, shape, position)
        if len(content) != size:
            raise UnreadableSource(_SHAPE, f"'{part}_images' ends early", "Download the file again.")
        return _as_bmp(np.frombuffer(content, np.uint8).reshape(shape[1:]))

    def _open(self, part: str) -> tuple[IO[bytes], tuple[int, ...], int]:
        stream = self._archive.open(f"{part}_images.npy")
        shape, dtype, by_column = _header(stream)
        is_picture = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        if dtype != np.uint8 or by_column or not is_picture or min(shape, default=0) < 1:
            raise UnreadableSource(_SHAPE, f"'{part}_images' has {dtype} values of shape {shape}")
        self._check_size(part, shape)
        self._arrays[part] = (stream, shape, 0)
        return self._arrays[part]

    def _check_size(self, part: str, shape: tuple[int, ...]) -> None:
        """Refuse arrays that nobody could stream through, and those that only a bomb packs so small."""
        size = math.prod(shape)
        if shape[0] > _MOST_ROWS or size > _MOST_STREAMED_BYTES or math.prod(shape[1:3]) > self.limits.max_pixels:
            raise UnreadableSource(
                f"At most {_MOST_ROWS:,} images and {megabytes(_MOST_STREAMED_BYTES)} in an array",
                f"'{part}_images' has the shape {shape}",
                "Take a part.",
            )
        packed = self._archive.packed_bytes(f"{part}_images.npy")
        if size > self.limits.ratio_floor_bytes and size > self.limits.max_ratio * max(1, packed):
            raise UnreadableSource(
                f"Arrays that unpack to at most {self.limits.max_ratio:g} times their packed size",
                f"'{part}_images' is a decompression bomb",
            )

    @_damage_told
    def _read_labels(self, part: Part) -> np.ndarray:
        """Labels of a part, (n,), as many as images."""
        name = f"{part}_labels.npy"
        if not self._archive.has(name):
            raise UnreadableSource(_SHAPE, f"found no '{part}_labels'")
        n_images = self._open(part)[1][0]
        with self._archive.open(name) as stream:
            shape, dtype, _ = _header(stream)
            if dtype.kind not in "iu" or shape not in ((n_images,), (n_images, 1)):
                raise UnreadableSource(
                    _SHAPE, f"'{part}_labels' has {dtype} values of shape {shape}", "One label each."
                )
            content = stream.read(n_images * dtype.itemsize)
        if len(content) != n_images * dtype.itemsize:
            raise UnreadableSource(_SHAPE, f"'{part}_labels' ends early", "Download the file again.")
        labels = np.frombuffer(content, dtype).astype(np.int64)
        if labels.min() < 0 or labels.max() >= _MOST_CLASSES:
            raise UnreadableSource(f"Labels from 0 to {_MOST_CLASSES - 1}", f"found {labels.min()} to {labels.max()}")
        return labels


def plan_medmnist(source: MedMnistSource, names: dict[int, str] | None, wanted: str = "", seed: int = 0) -> Plan:
    """Plan an .npz.

    names: of the labels; without them classes are called "class 0" and so on. wanted: the file that would give them,
    for the note. seed: of the images that are drawn where the archive has more than a set may hold.
    """
    used = sorted({int(label) for labels in source.labels.values() for label in np.unique(labels)})
    plan = Plan([], [])
    if names is None:
        names = {label: f"class {label}" for label in used}
        beside = f"; '{wanted}' beside it would give them" if wanted else "; a file of names sent with it gives them"
        plan.notes.append(f"The file has no class names{beside}.")
    missing = [label for label in used if label not in names]
    if missing:
        raise UnreadableSource("A class name for each label", f"found none for label {missing[0]}")
    written = [names[label] for label in used]
    check_distinct(written)
    unused = [f"'{printable(name)}'" for label, name in sorted(names.items()) if label not in used]
    if unused:
        plan.notes.append(f"Names of labels that no image has were left out: {', '.join(unused)}.")
    plan.classes = [class_name(name) for name in written]
    rank = {label: index for index, label in enumerate(used)}
    for part, rows in _drawn_rows(source, seed, plan).items():
        labels = source.labels[part]
        keys = (f"{part}/{row:06d}.bmp" for row in rows)
        plan.entries += [Entry(key, key, rank[int(labels[row])], part) for key, row in zip(keys, rows, strict=True)]
    return plan


def _drawn_rows(source: MedMnistSource, seed: int, plan: Plan) -> dict[Part, list[int]]:
    """The rows to read of each part: all, or as many as a set may hold, drawn from each class and part by its share."""
    sizes = {part: len(labels) for part, labels in source.labels.items()}
    limits, total, each = source.limits, sum(sizes.values()), source.image_bytes
    if total <= limits.max_files and total * each <= limits.max_total_bytes:
        return {part: list(range(size)) for part, size in sizes.items()}
    quotas = _quotas(source.labels, max(1, min(limits.max_files, limits.max_drawn_bytes // each)))
    draw = random.Random(seed)
    rows: dict[Part, list[int]] = {part: [] for part in sizes}
    for (part, label), quota in quotas.items():
        rows[part] += draw.sample(np.flatnonzero(source.labels[part] == label).tolist(), quota)
    told = ", ".join(f"{len(found):,} of {sizes[part]:,} in {part}" for part, found in rows.items())
    plan.notes.append(
        f"The file has {total:,} images, more than a set holds, so that some of each class were drawn "
        f"with seed {seed}: {told}."
    )
    return {part: sorted(found) for part, found in rows.items()}


def _quotas(labels: dict[Part, np.ndarray], most: int) -> dict[tuple[Part, int], int]:
    """How many images of each part and class are drawn: by their share, but of rare ones enough for few shots."""
    sizes = {
        (part, label): count
        for part, found in labels.items()
        for label, count in zip(*(a.tolist() for a in np.unique(found, return_counts=True)), strict=True)
    }
    enough = next((k for k in _LEAST_DRAWN if 2 * sum(min(size, k) for size in sizes.values()) <= most), 0)
    least = {key: min(size, enough) for key, size in sizes.items()}
    left, free = sum(sizes.values()) - sum(least.values()), most - sum(least.values())
    return {key: least[key] + int(free * (size - least[key]) / left) for key, size in sizes.items()}


def names_beside(path: Path) -> Path | None:
    """The file of class names that lies beside an .npz under its name, or None."""
    beside = (path.with_suffix(suffix) for suffix in NAMES_SUFFIXES)
    return next((file for file in beside if file.is_file()), None)


def parse_names(content: bytes, name: str) -> dict[int, str]:
    """{label: class name} from a small file sent with an .npz or lying beside it.

    JSON, also as MedMNIST publishes it ({"label": {"0": "name"}}); one name a line; or a CSV of labels and names.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".json":
        pairs = _json_names(content, name)
    else:
        pairs = _lines(decode_text(content, name)[0]) if suffix == ".txt" else _columns(read_sheet(content, name))
    is_whole = all(isinstance(found, str) and re.fullmatch("[0-9]{1,4}", str(key)) for key, found in pairs)
    if not pairs or not is_whole:
        raise UnreadableSource(_NAMES_SHAPE, f"'{printable(name)}' has another shape")
    twice = [key for key, count in Counter(int(key) for key, _ in pairs).items() if count > 1]
    if twice:
        raise UnreadableSource("One name for each label", f"'{printable(name)}' has several for {twice[0]}")
    return {int(key): found for key, found in pairs}


def _json_names(content: bytes, name: str) -> list[tuple[Any, Any]]:
    try:
        table = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableSource("Class names as JSON", f"'{printable(name)}' is not JSON") from error
    stem = PurePosixPath(name).stem.casefold()
    for key in (stem, stem.partition("_")[0], "label"):
        inner = table.get(key) if isinstance(table, dict) else None
        table = inner if isinstance(inner, dict | list) else table
    return list(enumerate(table)) if isinstance(table, list) else list(getattr(table, "items", list)())


def _lines(text: str) -> list[tuple[Any, Any]]:
    """One name a line, numbered by the lines or by a number before each."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [re.fullmatch(r"([0-9]{1,4})[\s,;:.)=-]+(.+)", line) for line in lines]
    if all(numbered):
        return [(match[1], match[2]) for match in numbered if match]
    return list(enumerate(lines))


def _columns(sheet: Sheet) -> list[tuple[Any, Any]]:
    """Two columns of which one holds the numbers, with or without a line of names."""
    rows = [row for row in (list(sheet.columns), *(cells for _, cells in sheet.rows)) if len(row) > 1]
    pairs = [(row[0], row[1]) if row[0].isdigit() else (row[1], row[0]) for row in rows]
    return pairs[1:] if pairs and not pairs[0][0].isdigit() else pairs


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, bool]:
    """(shape, dtype, by column) of an .npy stream."""
    try:
        version = np.lib.format.read_magic(stream)  # type: ignore[arg-type]
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read(stream)  # type: ignore[arg-type]
    except Exception as error:  # the header is text from a stranger; any failure to parse it means the same
        raise UnreadableSource(_SHAPE, "found a damaged array") from error
    if dtype.hasobject:
        raise UnreadableSource(_SHAPE, "found Python objects, which are never loaded")
    return shape, dtype, by_column


def _as_bmp(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()
