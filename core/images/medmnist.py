"""MedMNIST archives: `.npz` files of image and label arrays, read row by row without unpickling anything."""

from __future__ import annotations

import functools
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from PIL import Image

from core.errors import InvalidInput, UnreadableSource
from core.images.archive import ZipSource
from core.images.class_names import check_distinct, class_name
from core.images.image_set import PARTS, Part, Problem
from core.images.limits import Limits, megabytes
from core.images.plan import Entry, Plan

_SHAPE = (
    "A MedMNIST .npz: <part>_images of 8 bits, (n, height, width) or (n, height, width, 3), and <part>_labels (n, 1)"
)
_MOST_CLASSES = 1000


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
        self._archive = ZipSource(stream, self.limits)
        self.labels: dict[Part, np.ndarray] = {}
        self._arrays: dict[str, tuple[IO[bytes], tuple[int, ...], int]] = {}
        for part in PARTS:
            if self._archive.has(f"{part}_images.npy"):
                self.labels[part] = self._read_labels(part)
        if not self.labels:
            raise UnreadableSource(_SHAPE, f"found {', '.join(self._archive.names[:6]) or 'nothing'}")
        self._check_number(sum(len(labels) for labels in self.labels.values()))

    @property
    def names(self) -> list[str]:
        return [f"{part}/{row:06d}.bmp" for part, labels in self.labels.items() for row in range(len(labels))]

    def has(self, name: str) -> bool:
        return name in set(self.names)

    def folders(self) -> list[str]:
        return list(self.labels)

    def path(self, name: str) -> None:
        return None

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
        self._check_number(shape[0])
        if math.prod(shape[1:3]) > self.limits.max_pixels or math.prod(shape) > self.limits.max_total_bytes:
            raise UnreadableSource(
                f"At most {megabytes(self.limits.max_total_bytes)} of images", f"found shape {shape}"
            )
        self._arrays[part] = (stream, shape, 0)
        return self._arrays[part]

    def _check_number(self, n_images: int) -> None:
        if n_images > self.limits.max_files:
            raise UnreadableSource(f"At most {self.limits.max_files:,} images", f"found {n_images:,}", "Take a part.")

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


def plan_medmnist(source: MedMnistSource, names_file: Path | None) -> Plan:
    """Plan an .npz. Class names come from a JSON file beside it, if there is one; else they are "class 0" and so on."""
    used = sorted({int(label) for labels in source.labels.values() for label in labels})
    names = _read_names(names_file) if names_file else None
    plan = Plan([], [])
    if names is None:
        names = {label: f"class {label}" for label in used}
        beside = f"; '{names_file.name}' beside it would give them" if names_file else ""
        plan.notes.append(f"The file has no class names{beside}.")
    missing = [label for label in used if label not in names]
    if missing:
        raise UnreadableSource("A class name for each label", f"found none for label {missing[0]}")
    written = [names[label] for label in used]
    check_distinct(written)
    plan.classes = [class_name(name) for name in written]
    rank = {label: index for index, label in enumerate(used)}
    for part, labels in source.labels.items():
        keys = (f"{part}/{row:06d}.bmp" for row in range(len(labels)))
        plan.entries += [Entry(key, key, rank[int(label)], part) for key, label in zip(keys, labels, strict=True)]
    return plan


def _read_names(path: Path) -> dict[int, str] | None:
    """{label: name} from a JSON list or object, or None if there is no such file."""
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableSource("Class names as JSON", f"'{path.name}' is not JSON") from error
    pairs: list[Any] = list(enumerate(table)) if isinstance(table, list) else list(getattr(table, "items", list)())
    if not pairs or not all(isinstance(name, str) and re.fullmatch("[0-9]{1,4}", str(key)) for key, name in pairs):
        raise UnreadableSource('Class names as ["name", ...] or {"0": "name", ...}', f"'{path.name}' has another shape")
    return {int(key): name for key, name in pairs}


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
