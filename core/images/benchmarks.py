"""Image sets of the papers by name: what they hold, how they are published and where they are to be had.

`benchmarks.toml` holds the facts; the images are not part of this project. `core.images.published` reads them. Loads
nothing that reads pictures.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from core.errors import InvalidOption, did_you_mean
from core.images.labelled_image import PARTS

MEDMNIST, SPLIT_FILE = "MedMNIST", "split file"


@dataclass(frozen=True)
class Benchmark:
    """A published image set.

    images: of the training, validation and test part as published. layout: "split file" (class folders with a
    `split_*.json`), "MedMNIST" (an .npz), both joined by "or", or "class folders" (<part>/<class>/ as this project
    reads them, where the publication has no files of parts). other_names: by class, what published folders and tables
    call it. prompt: a published sentence with {} for the class name, or None. licence: "" where the source does not
    say it plainly.
    """

    name: str
    title: str
    modality: str
    classes: tuple[str, ...]
    images: tuple[int, int, int]
    layout: str
    folder: str
    used_by: tuple[str, ...]
    source: str
    licence: str
    prompt: str | None = None
    notes: tuple[str, ...] = ()
    other_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tree(self) -> str:
        """The files as they are expected, one a line."""
        shown = [f"{self.folder}/"]
        if SPLIT_FILE in self.layout:
            shown += [f"  split_{self.folder}.json", f"  {self.folder}/"]
            shown += [f"    {name.replace(' ', '_')}/" for name in self.classes]
        if MEDMNIST in self.layout:
            shown += [f"  {self.name}_224.npz{' (in place of the others)' if SPLIT_FILE in self.layout else ''}"]
        if self.layout == "class folders":
            parts = [part for part, number in zip(PARTS, self.images, strict=True) if number]
            shown += [f"  {part}/{name.replace(' ', '_')}/" for part in parts for name in self.classes]
        return "\n".join(shown)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.name,
            "title": self.title,
            "modality": self.modality,
            "n_classes": len(self.classes),
            "classes": list(self.classes),
            "images": dict(zip(PARTS, self.images, strict=True)),
            "layout": self.layout,
            "tree": self.tree,
            "used_by": list(self.used_by),
            "prompt": self.prompt,
            "source": self.source,
            "licence": self.licence or None,
            "notes": list(self.notes),
        }


@cache
def benchmark_tables() -> dict[str, dict[str, Any]]:
    """The entries of the file as written, by name."""
    return tomllib.loads((files("core.images") / "benchmarks.toml").read_text("utf-8"))


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All of them by name, in the order of the file."""
    return {name: _read(name, table) for name, table in benchmark_tables().items()}


def _read(name: str, table: Mapping[str, Any]) -> Benchmark:
    lists = {key: tuple(table.get(key, ())) for key in ("classes", "images", "used_by", "notes")}
    others = {each: tuple(names) for each, names in table.get("other_names", {}).items()}
    return Benchmark(name, **{**table, **lists, "other_names": others})


def get_benchmark(name: str) -> Benchmark:
    """By its name or title, however it is spelled. Raises InvalidOption with the nearest known name."""
    asked = plain_name(name)
    for each in benchmarks().values():
        if asked in {plain_name(each.name), plain_name(each.title)}:
            return each
    remedy = did_you_mean(name, list(benchmarks()), f"Known names: {', '.join(benchmarks())}.")
    raise InvalidOption("The name of a published image set", f"'{name}' is none", remedy)


def plain_name(name: str) -> str:
    """A name without case, spaces and punctuation, by which names are compared."""
    return re.sub(r"[\W_]+", "", name).casefold()
