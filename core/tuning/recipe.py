"""Recipes: published settings of a method for one data set and protocol, read from `recipes/<method>/<source>.toml`.

A file holds once what its publication states for all, and tables of what differs by protocol and data set; a recipe is
one cell of these, named `<method>/<source>/<data set>/<protocol>`. Options the publication leaves open are the method's
defaults.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import SOURCE as FROM_TEMPLATES
from core.errors import InvalidOption, NotFound, did_you_mean
from core.images.benchmarks import benchmark_tables
from core.tuning.registry import check_method_name, get_method

if TYPE_CHECKING:
    from core.tuning.contract import MethodConfig

BASE_TO_NOVEL = "base-to-novel"
FEW_SHOT_BENCHMARK = "BiomedCoOp"
"""Whose eleven image sets few-shot recipes are for."""
ALL = "all"
SHOWN_DIGITS = 8
EMPTY = "empty"
TO_BE_NAMED = "one to be named"


@dataclass(frozen=True)
class Recipe:
    """Published settings.

    options: values by option name. to_be_given: options whose value cannot be published, such as the place of a model
    on one's own machine; whoever follows the recipe fills them in. shots, seeds: those the publication reports (shots
    None: all images); empty where they play no part. classes: names trained on, in label order; novel_classes: further
    ones that are only tested. sentences_per_class: descriptions of a class, None where none are used. notes: where the
    publication cannot be followed.
    """

    name: str
    method: str
    source: str
    data_set: str
    protocol: str
    title: str
    modality: str
    backbone: str
    options: Mapping[str, Any]
    to_be_given: tuple[str, ...]
    shots: tuple[int | None, ...]
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    novel_classes: tuple[str, ...]
    sentences_per_class: int | None
    provenance: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over what is done, so that another wording of title, provenance or notes does not change it."""
        done = {name: getattr(self, name) for name in _HASHED}
        text = json.dumps(done, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with the hash."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: _plain(value) for name, value in values.items()} | {"hash": self.hash}

    def config(self) -> MethodConfig:
        """All option values of a run that follows the recipe. Raises InvalidOption."""
        return get_method(self.method).Config.from_values(self.options, owner=self.method)

    def check_method(self, method: str) -> None:
        """Raises InvalidOption if another method is asked for."""
        if method != self.method:
            raise InvalidOption(
                f"The recipe '{self.name}' is one of {self.method}",
                f"the method asked for is {method}",
                "Leave the method out, or choose one of its own recipes.",
            )


_HASHED = (
    "method",
    "data_set",
    "protocol",
    "backbone",
    "options",
    "to_be_given",
    "shots",
    "seeds",
    "classes",
    "novel_classes",
    "sentences_per_class",
)


@dataclass(frozen=True)
class Deviation:
    """What a run does otherwise than its recipe: both values, JSON-ready."""

    name: str
    recipe: Any
    used: Any

    def __str__(self) -> str:
        return f"{self.name} {_shown(self.used)} instead of {_shown(self.recipe)}"


def recipe_names() -> tuple[str, ...]:
    """All names, by method and source, then in the order of the data sets."""
    return tuple(_recipes())


def get_recipe(name: str) -> Recipe:
    """The recipe of a name. Raises NotFound with the nearest known name."""
    found = _recipes().get(name)
    if found is None:
        remedy = did_you_mean(name, recipe_names(), "`promptoscope recipes list` shows them.")
        raise NotFound("The name of a recipe", f"'{name}' is none", remedy)
    return found


def list_recipes(method: str | None = None) -> list[Recipe]:
    """All recipes, or those of one method. Raises InvalidOption for an unknown method."""
    if method is not None:
        check_method_name(method)
    return [recipe for recipe in _recipes().values() if method in (None, recipe.method)]


def deviations(
    recipe: Recipe,
    config: MethodConfig,
    *,
    shots: int | None,
    seed: int,
    classes: Sequence[str],
    backbone: str,
    descriptions: DescriptionSet | None = None,
) -> list[Deviation]:
    """Where a run leaves its recipe: options first, then shots, seed, classes, backbone, and sentences per class.

    An option that is to be given deviates where it is left empty, and by no value.
    """
    found = list(_option_deviations(recipe, config))
    if recipe.shots and shots not in recipe.shots:
        found.append(Deviation("shots", [_shots(each) for each in recipe.shots], _shots(shots)))
    if recipe.seeds and seed not in recipe.seeds:
        found.append(Deviation("seed", list(recipe.seeds), seed))
    if tuple(classes) != recipe.classes:
        found.append(Deviation("classes", list(recipe.classes), list(classes)))
    if backbone != recipe.backbone:
        found.append(Deviation("backbone", recipe.backbone, backbone))
    wanted, given = recipe.sentences_per_class, _sentences(descriptions)
    return found if wanted is None or given == wanted else [*found, Deviation("sentences per class", wanted, given)]


def _option_deviations(recipe: Recipe, config: MethodConfig) -> Iterator[Deviation]:
    published = recipe.config().as_dict()
    for name, value in config.as_dict().items():
        if name in recipe.to_be_given:
            if _is_empty(value):
                yield Deviation(name, TO_BE_NAMED, EMPTY)
        elif value != published[name]:
            yield Deviation(name, published[name], value)


def recipe_record(recipe: Recipe, found: Sequence[Deviation]) -> dict[str, Any]:
    """What a run keeps: name, hash, deviations [{name, recipe, used}] and notes."""
    return {
        "name": recipe.name,
        "hash": recipe.hash,
        "deviations": [asdict(each) for each in found],
        "notes": list(recipe.notes),
    }


def recipe_sentence(record: Mapping[str, Any]) -> str:
    """A `recipe_record` in plain words."""
    start = f"Follows recipe {record['name']} (hash {record['hash'][:SHOWN_DIGITS]})"
    if not record["deviations"]:
        return f"{start} without deviation."
    return f"{start}; deviates in: {'; '.join(str(Deviation(**each)) for each in record['deviations'])}."


# files -----------------------------------------------------------------------------------------------------------


@cache
def recipe_sets() -> dict[str, dict[str, Any]]:
    """The published image sets that recipes are for, by name: those of the few-shot benchmark of eleven."""
    return {name: table for name, table in benchmark_tables().items() if FEW_SHOT_BENCHMARK in table["used_by"]}


@cache
def _recipes() -> dict[str, Recipe]:
    folder = files("core.tuning") / "recipes"
    found: dict[str, Recipe] = {}
    for method in sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda entry: entry.name):
        for file in sorted((entry for entry in method.iterdir() if entry.name.endswith(".toml")), key=str):
            data = tomllib.loads(file.read_text("utf-8"))
            recipes = read_recipes(method.name, file.name.removesuffix(".toml"), data, recipe_sets())
            found |= {recipe.name: recipe for recipe in recipes}
    return found


def read_recipes(
    method: str, source: str, data: Mapping[str, Any], data_sets: Mapping[str, Mapping[str, Any]]
) -> Iterator[Recipe]:
    """The recipes of one file, which is `data` parsed.

    Later ones win: [options], [by_data_set], [protocols.P] options, [protocols.P.by_data_set]; notes of all add up.
    """
    for slug, about in data_sets.items():
        for protocol, table in data["protocols"].items():
            if slug not in table.get("data_sets", data_sets):
                continue
            wide, narrow = _column(data, slug), _column(table, slug)
            for_set = [column.pop("notes", ()) for column in (wide, narrow)]
            further = [data.get("notes", ()), table.get("notes", ()), *for_set, about.get("notes", ())]
            recipe = Recipe(
                name=f"{method}/{source}/{slug}/{protocol}",
                method=method,
                source=source,
                data_set=slug,
                protocol=protocol,
                title=about["title"],
                modality=about["modality"],
                backbone=data["backbone"],
                options=data.get("options", {}) | wide | table.get("options", {}) | narrow,
                to_be_given=tuple(data.get("to_be_given", ())),
                shots=tuple(None if each == ALL else each for each in table["shots"]),
                seeds=tuple(data["seeds"]),
                classes=tuple(about["classes"]),
                novel_classes=(),
                sentences_per_class=table.get("sentences_per_class", data.get("sentences_per_class")),
                provenance=data["provenance"],
                notes=tuple(note for notes in further for note in notes),
            )
            yield _base_half(recipe) if protocol == BASE_TO_NOVEL else recipe


def _column(table: Mapping[str, Any], slug: str) -> dict[str, Any]:
    """Values of one data set out of {option: {data set: value}}."""
    return {name: row[slug] for name, row in table.get("by_data_set", {}).items() if slug in row}


def _base_half(recipe: Recipe) -> Recipe:
    """The same with the first half of the classes, rounded up, to train on and the others to test only."""
    half = (len(recipe.classes) + 1) // 2
    return replace(recipe, classes=recipe.classes[:half], novel_classes=recipe.classes[half:])


def _sentences(descriptions: DescriptionSet | None) -> int | str | list[int]:
    """Sentences of each class: one number where they agree; made from the class names alone they count as none."""
    if descriptions is None or descriptions.source == FROM_TEMPLATES:
        return FROM_TEMPLATES
    counts = sorted({len(sentences) for sentences in descriptions.sentences.values()})
    return counts[0] if len(counts) == 1 else counts


def _plain(value: Any) -> Any:
    """The same for the caller alone, lists for tuples as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _is_empty(value: Any) -> bool:
    return value is None or not str(value).strip()


def _shots(value: int | None) -> int | str:
    return ALL if value is None else value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"'{value}'" if isinstance(value, str) and " " in value else str(value)
