"""Reading an image set of the papers as they did: its parts, and its classes in their order and wording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from core.errors import UnreadableSource
from core.images.benchmarks import MEDMNIST, Benchmark, get_benchmark, plain_name
from core.images.image_set import ImageSet
from core.images.labelled_image import PARTS
from core.images.read import ReadOptions, read_image_set

_LABEL = re.compile(r"(?:class )?(\d+)")


def read_benchmark(path: str | Path, name: str, **options: Unpack[ReadOptions]) -> ImageSet:
    """Read a published image set: its classes in label order and by their published names, its modality and notes.

    path: the set's folder or file, or a folder that holds it beside others. Where parts have other numbers of images
    than published, a note says so. Raises InvalidOption for an unknown name, UnreadableSource with the expected files
    where the classes are not those of the set, and as `read_image_set`.
    """
    benchmark = get_benchmark(name)
    found_at = place_of(Path(path), benchmark)
    wanted: ReadOptions = {"modality": benchmark.modality, **options}
    try:
        found = read_image_set(found_at, benchmark.title, **wanted)
    except UnreadableSource as error:
        error.remedy = f"{error.remedy} {_expected(benchmark)}".strip()
        error.args = (error.sentence,)
        raise
    return as_published(found, benchmark)


def place_of(path: Path, benchmark: Benchmark) -> Path:
    """Where the set lies: the path, its own folder within it, or its largest .npz there."""
    if not path.is_dir():
        return path
    names = {plain_name(benchmark.folder), plain_name(benchmark.name)}
    inner = [each for each in sorted(path.iterdir()) if each.is_dir() and plain_name(each.name) in names]
    if inner and not any(path.glob("split_*.json")):
        return place_of(inner[0], benchmark)
    arrays = sorted(path.glob(f"{benchmark.name}*.npz"), key=lambda each: each.stat().st_size)
    return arrays[-1] if arrays else path


def as_published(found: ImageSet, benchmark: Benchmark) -> ImageSet:
    """The images under the published class names, in label order. Raises UnreadableSource for other classes."""
    known = {plain_name(name): name for name in benchmark.classes}
    known |= {plain_name(other): name for name, others in benchmark.other_names.items() for other in others}
    meant = {name: _class_meant(name, known, benchmark) for name in found.classes}
    strange = [name for name, its in meant.items() if its is None]
    missing = [name for name in benchmark.classes if name not in meant.values()]
    if strange or missing or len(set(meant.values())) < len(meant):
        said = f"'{', '.join(found.classes)}'"
        raise UnreadableSource(f"The classes of {benchmark.title}", f"found {said}", _expected(benchmark))
    ordered = found.of_classes([next(own for own, its in meant.items() if its == name) for name in benchmark.classes])
    return replace(
        ordered,
        classes=benchmark.classes,
        modality=found.modality or benchmark.modality,
        notes=(*(note for note in found.notes if "has no class names" not in note), *_notes(found, benchmark)),
    )


def _class_meant(name: str, known: Mapping[str, str], benchmark: Benchmark) -> str | None:
    if (its := known.get(plain_name(name))) is not None:
        return its
    number = _LABEL.fullmatch(name) if MEDMNIST in benchmark.layout else None
    label = int(number[1]) if number else len(benchmark.classes)
    return benchmark.classes[label] if label < len(benchmark.classes) else None


def _notes(found: ImageSet, benchmark: Benchmark) -> list[str]:
    counted = [len(found.part(part)) for part in PARTS]
    published = " / ".join(f"{number:,}" for number in benchmark.images)
    if tuple(counted) == benchmark.images:
        said = f"Read as {benchmark.title}: training, validation and test part have the published {published} images."
    else:
        here = " / ".join(f"{number:,}" for number in counted)
        said = (
            f"Read as {benchmark.title}, but its training, validation and test part have {here} images here and "
            f"{published} as published: numbers are not to be compared as if the images were the same."
        )
    return [said, *benchmark.notes]


def _expected(benchmark: Benchmark) -> str:
    return f"{benchmark.title} is to be had from {benchmark.source}, and is read in this form:\n{benchmark.tree}"
