"""Tables that papers published, as experiments: what has to be run for one, and measured beside published.

A table's rows are means over image sets, so it is one experiment for each set, with the recipe that was published for
it, and means over whatever sets there are. `published_tables/<paper>.toml` holds the numbers, with their source.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean
from typing import Any

from core.errors import InvalidOption, did_you_mean
from core.images.benchmarks import Benchmark, benchmarks
from core.images.labelled_image import digest
from core.tuning.recipe import BASE_TO_NOVEL, recipe_names

BASE, NOVEL, HARMONIC, TEST = "base", "novel", "harmonic", "test"


@dataclass(frozen=True)
class PublishedTable:
    """A table of accuracies.

    name: PAPER/TABLE. accuracy: by (recipe source, shots, part), in percent, the mean over `image_sets` and `seeds`;
    the part is "test", or "base", "novel" and "harmonic". image_sets: names of benchmarks; of base-to-novel without
    those whose novel half is a single class.
    """

    name: str
    title: str
    source: str
    protocol: str
    image_sets: tuple[str, ...]
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    accuracy: Mapping[tuple[str, int, str], float]
    notes: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Recipe sources, `<method>/<source>`, in the order of the table."""
        return tuple(dict.fromkeys(source for source, _, _ in self.accuracy))

    def as_dict(self) -> dict[str, Any]:
        """JSON form without the numbers."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "protocol": self.protocol,
            "image_sets": list(self.image_sets),
            "methods": list(self.methods),
            "shots": list(self.shots),
            "seeds": list(self.seeds),
            "notes": list(self.notes),
        }


@cache
def published_tables() -> dict[str, PublishedTable]:
    """All tables by name."""
    folder = files("core.experiments") / "published_tables"
    found = {}
    for file in sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name):
        data = tomllib.loads(file.read_text("utf-8"))
        paper = file.name.removesuffix(".toml")
        for protocol, table in data.items():
            if isinstance(table, dict):
                found[f"{paper}/{protocol}"] = _read(f"{paper}/{protocol}", protocol, data, table)
    return found


def _read(name: str, protocol: str, data: Mapping[str, Any], table: Mapping[str, Any]) -> PublishedTable:
    shots = tuple(table["shots"])
    accuracy: dict[tuple[str, int, str], float] = {}
    for source, values in table["accuracy"].items():
        if isinstance(values, Mapping):
            accuracy |= {(source, shots[0], part): value for part, value in values.items()}
        else:
            accuracy |= {(source, each, TEST): value for each, value in zip(shots, values, strict=True)}
    return PublishedTable(
        name,
        f"{data['title']}: {table['place']}",
        data["source"],
        protocol,
        tuple(
            each.name
            for each in benchmarks().values()
            if data["image_sets"] in each.used_by and (protocol != BASE_TO_NOVEL or len(each.classes) > 3)
        ),
        shots,
        tuple(data["seeds"]),
        accuracy,
        tuple(table.get("notes", ())),
    )


def get_published_table(name: str) -> PublishedTable:
    """A table by PAPER/TABLE. Raises InvalidOption with the nearest known name."""
    found = published_tables().get(name)
    if found is None:
        known = list(published_tables())
        remedy = did_you_mean(name, known, f"Known tables: {', '.join(known)}.")
        raise InvalidOption("A published table as PAPER/TABLE", f"'{name}' is none", remedy)
    return found


def chosen(table: PublishedTable, methods: Sequence[str], shots: Sequence[int]) -> tuple[list[str], list[int]]:
    """Recipe sources and shots to be run: those named, or all. methods: names of methods. Raises InvalidOption."""
    sources = [source for source in table.methods if not methods or source.split("/")[0] in methods]
    known = [source.split("/")[0] for source in table.methods]
    strange = next((name for name in methods if name not in known), None)
    if strange is not None:
        raise InvalidOption(f"Methods of {table.name}: {', '.join(known)}", f"found '{strange}'")
    other = next((each for each in shots if each not in table.shots), None)
    if other is not None:
        raise InvalidOption(f"Shots of {table.name}: {', '.join(map(str, table.shots))}", f"found {other}")
    return sources, list(shots or table.shots)


def experiment_values(
    table: PublishedTable,
    benchmark: Benchmark,
    recipes: Mapping[str, str],
    shots: Sequence[int],
    seeds: Sequence[int],
    backbone: str,
    *,
    images: str,
    descriptions: str | None,
) -> dict[str, Any]:
    """The values of the experiment on one image set. recipes: by source, the recipe for this set."""
    return {
        "name": f"{table.name} {benchmark.title} {_told(backbone, list(recipes), shots, seeds)}",
        "images": [images],
        "recipes": list(recipes.values()),
        "protocol": table.protocol,
        "shots": list(shots),
        "seeds": list(seeds),
        "backbone": backbone,
        "metric": "accuracy",
        **({"descriptions": [descriptions]} if descriptions else {}),
    }


def _told(*settings: Any) -> str:
    """Eight digits that tell one choice of settings from another."""
    return digest([json.dumps(settings)])[:8]


def beside(
    table: PublishedTable, rows: Mapping[str, Sequence[Mapping[str, Any]]], recipes: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Measured beside published: one object for each method, number of shots and part, with what each set gave.

    rows: of the experiments, by benchmark. recipes: by benchmark and source. Keys: {method, recipe, shots, part,
    measured, published, difference, image_sets, n_sets, of_sets, complete}; accuracies in percent. `difference` is None
    unless every set of the table was measured: a mean over fewer sets is another number.
    """
    found = []
    for (source, shots, part), published in table.accuracy.items():
        by_set = {}
        for name, own in rows.items():
            line = recipes[name].get(source)
            row = next((row for row in own if row["line"] == line and row["shots"] == shots), None)
            value = None if row is None else _accuracy(row, part)
            if value is not None:
                by_set[name] = round(100 * value, 2)
        if not by_set:
            continue
        measured = round(fmean(by_set.values()), 2)
        complete = len(by_set) == len(sets_of(table, source))
        found.append(
            {
                "table": table.name,
                "method": source.split("/")[0],
                "recipe": source,
                "shots": shots,
                "part": part,
                "measured": measured,
                "published": published,
                "difference": round(measured - published, 2) if complete else None,
                "image_sets": by_set,
                "n_sets": len(by_set),
                "of_sets": len(sets_of(table, source)),
                "complete": complete,
            }
        )
    return found


def sets_of(table: PublishedTable, source: str) -> list[str]:
    """The benchmarks of the table for which this source has a recipe."""
    known = set(recipe_names())
    return [name for name in table.image_sets if f"{source}/{name}/{table.protocol}" in known]


def _accuracy(row: Mapping[str, Any], part: str) -> float | None:
    """The accuracy of a part as a fraction, over the row's seeds."""
    if part == TEST:
        return row["metrics"]["accuracy"]
    if part == HARMONIC:
        return row["mean"]
    measured = row["parts"].get(part)
    return None if measured is None or measured["trivial"] else measured["mean"]
