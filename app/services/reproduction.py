"""Published tables run on whatever of their image sets there is: experiments made, and their rows put beside."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.services import experiments
from app.services.context import Context
from app.services.image_sets import get_image_set
from app.services.incoming_images import kept_from_path
from app.services.runs import full_runs
from core.descriptions.packs import find_pack
from core.errors import InvalidInput, InvalidOption, NotFound
from core.experiments.reproduction import (
    PublishedTable,
    beside,
    chosen,
    experiment_values,
    get_published_table,
    published_tables,
    sets_of,
)
from core.images.benchmarks import Benchmark, benchmarks, get_benchmark


@dataclass(frozen=True)
class Reproduction:
    """What is to be run for a table. experiments: id by benchmark. recipes: by benchmark and recipe source."""

    table: PublishedTable
    experiments: Mapping[str, str]
    recipes: Mapping[str, Mapping[str, str]]


def list_tables() -> list[dict[str, Any]]:
    """The published tables that can be run, without their numbers."""
    return [table.as_dict() for table in published_tables().values()]


def plan_table(
    ctx: Context,
    name: str,
    images: Sequence[str],
    *,
    methods: Sequence[str] = (),
    shots: Sequence[int] = (),
    seeds: Sequence[int] = (),
    backbone: str = "biomedclip",
) -> Reproduction:
    """Record an experiment for each image set of a table that is here, or find those that were begun.

    images: stored sets that were added by the name of a benchmark, folders of one, or folders that hold several.
    Methods that read sentences get the built-in pack of the set. Raises InvalidOption, InvalidInput where none of the
    images belongs to the table, NotFound, and as `experiments.create`.
    """
    table = get_published_table(name)
    sources, wanted = chosen(table, methods, shots)
    made: dict[str, str] = {}
    recipes: dict[str, dict[str, str]] = {}
    for benchmark, stored in _sets_of(ctx, table, images).items():
        own = {
            source: f"{source}/{benchmark}/{table.protocol}"
            for source in sources
            if benchmark in sets_of(table, source)
        }
        if not own:
            continue
        values = experiment_values(
            table,
            benchmarks()[benchmark],
            own,
            wanted,
            seeds or table.seeds,
            backbone,
            images=stored,
            descriptions=f"pack:{benchmark}" if find_pack(benchmark) else None,
        )
        made[benchmark] = experiments.create_or_resume(ctx, values, paths=True)["id"]
        recipes[benchmark] = own
    if not made:
        raise InvalidInput(f"Images of one of the sets of {table.name}", "none of them has a recipe there")
    return Reproduction(table, made, recipes)


def run_table(ctx: Context, planned: Reproduction, on_cells: Callable[[list[dict[str, Any]]], None]) -> None:
    """Work on the experiments here, one after the other; a stopped one goes on where it was."""
    for experiment_id in planned.experiments.values():
        experiments.run_here(ctx, experiment_id, on_cells=on_cells)


def table_rows(ctx: Context, planned: Reproduction) -> list[dict[str, Any]]:
    """Measured beside published, see `core.experiments.reproduction.beside`, each with the `deviations` of its runs."""
    rows = {name: experiments.list_rows(ctx, own) for name, own in planned.experiments.items()}
    found = beside(planned.table, rows, planned.recipes)
    for each in found:
        lines = {planned.recipes[name][each["recipe"]] for name in each["image_sets"]}
        own = [
            row for of_set in rows.values() for row in of_set if row["line"] in lines and row["shots"] == each["shots"]
        ]
        each["n_seeds"] = min(row["n_seeds"] for row in own)
        each["deviations"] = _deviations(ctx, [run for row in own for run in row["runs"] if run])
    return found


def _deviations(ctx: Context, run_ids: Sequence[str]) -> list[str]:
    """What the runs did otherwise than their recipes, each once."""
    from core.tuning.recipe import Deviation

    followed = [run["recipe"] for run in full_runs(ctx, run_ids) if run.get("recipe")]
    return list(dict.fromkeys(str(Deviation(**each)) for record in followed for each in record["deviations"]))


def _sets_of(ctx: Context, table: PublishedTable, images: Sequence[str]) -> dict[str, str]:
    """Names of stored sets by benchmark, in the order of the table."""
    found: dict[str, str] = {}
    for given in images:
        for benchmark, stored in _of_one(ctx, table, given).items():
            if found.setdefault(benchmark, stored) != stored:
                raise InvalidInput(
                    f"One image set for {benchmarks()[benchmark].title}",
                    f"found '{found[benchmark]}' and '{stored}'",
                    "Give one of them.",
                )
    return {name: found[name] for name in table.image_sets if name in found}


def _of_one(ctx: Context, table: PublishedTable, given: str) -> dict[str, str]:
    if os.path.exists(given):
        folders = _published_folders(table, Path(given))
        if not folders:
            titles = ", ".join(benchmarks()[name].title for name in table.image_sets)
            raise NotFound(
                f"A folder called like one of {titles}, or one that holds such folders",
                f"'{given}' is none",
                "Rename the folder, or add it with `promptoscope images add PATH --as NAME` and give its name.",
            )
        return {name: kept_from_path(ctx, path, name)["name"] for name, path in folders.items()}
    stored = get_image_set(ctx, given)
    benchmark = _meant(stored["name"])
    if benchmark is None or benchmark.name not in table.image_sets:
        raise InvalidOption(
            f"An image set that {table.name} reports on, added with `images add PATH --as NAME`",
            f"'{stored['name']}' is called like none of them",
        )
    if [each["name"] for each in stored["classes"]] != list(benchmark.classes):
        raise InvalidInput(
            f"The classes of {benchmark.title} in label order",
            f"'{stored['name']}' has others",
            f"Add it with `promptoscope images add PATH --as {benchmark.name}`.",
        )
    return {benchmark.name: stored["name"]}


def _published_folders(table: PublishedTable, path: Path) -> dict[str, Path]:
    itself = _meant(path.resolve().name)
    if itself is not None and itself.name in table.image_sets:
        return {itself.name: path}
    inner = sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []
    meant = [(_meant(each.name), each) for each in inner]
    return {known.name: each for known, each in meant if known is not None and known.name in table.image_sets}


def _meant(name: str) -> Benchmark | None:
    """The benchmark that a name is that of, also with the number that tells apart sets of one name."""
    start, _, number = name.rpartition("-")
    with suppress(InvalidOption):
        return get_benchmark(start if start and number.isdigit() else name)
    return None
