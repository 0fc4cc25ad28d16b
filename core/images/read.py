"""Image sets from a path or an upload: the two ways in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack

from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.images.limits import Limits
from core.images.reading import read_path, read_upload


class ReadOptions(TypedDict, total=False):
    """What both take by name, see `core.images.reading.read_path`."""

    store_dir: str | Path | None
    seed: int
    limits: Limits | None
    modality: str | None
    hold_out: float
    choice: ColumnChoice | None


def read_image_set(path: str | Path, name: str | None = None, **options: Unpack[ReadOptions]) -> ImageSet:
    """Read a folder, zip, CSV manifest, CoOp `split_*.json` or MedMNIST `.npz`, see `core.images.reading.read_path`."""
    return ImageSet(*read_path(path, name, **options))


def read_uploaded_files(
    files: Sequence[tuple[str, BinaryIO]], name: str | None = None, **options: Unpack[ReadOptions]
) -> ImageSet:
    """Read (relative name, seekable binary stream) of an upload, see `core.images.reading.read_upload`."""
    return ImageSet(*read_upload(files, name, **options))
