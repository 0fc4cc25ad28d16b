"""What an experiment is to compare, checked before anything is trained. Read from a TOML file, a form or the API.

    name = "first look"
    images = ["brain", "chest"]
    methods = ["METHOD", "ANOTHER"]
    shots = [1, 4, 16]
    seeds = [1, 2, 3, 4, 5]

Everything after `methods` may be left out. A list as the value of an option, or of `descriptions`, stands for one row a
value.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any

from core.errors import InvalidInput, InvalidOption, did_you_mean
from core.evaluation.pseudo_values import PSEUDO_METRICS
from core.images.labelled_image import digest
from core.text import fit_text, shown
from core.tuning.method_cards import baseline_method

PROTOCOLS = ("few-shot", "base-to-novel", "cross-set", "full", "realistic")
DEFAULT_SEEDS = (1, 2, 3, 4, 5)
"""Five, since at three the interval over new draws and new patients is twice as wide and power is low."""
DEFAULT_SHARES = (0.1, 0.3, 1.0)
BASE_TO_NOVEL_SHOTS = 16
LARGEST_SEED = 2**31 - 1
MOST_SHOTS = 2**31 - 1
MOST_CELLS = 5000
MOST_KEYS_NAMED, LONGEST_KEY = 10, 60
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Candidate:
    """One line of the comparison: a method, or a recipe that names one, with option values of its own.

    method: its name. recipe: published settings, or None. options: values that differ from the method's own. label:
    what tells it from the other lines, in a few words; the method's name where one line is all there is.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    variant: str = "default"
    label: str = ""


@dataclass(frozen=True)
class ExperimentSpec:
    """A checked experiment.

    images: paths or names of stored sets. shots: images per class, None for all. shares: of the labels, for the
    protocol "full". base_classes: of "base-to-novel"; without them the first half. target_images: of "cross-set".
    descriptions: wordings to compare, None for sentences made from names. compare_to: the line that the others are held
    against, chosen before the start; without it all pairs are. metric: the one that is ranked by. controlled: equal
    updates, batches and crops for all, see `core.experiments.controlled`. updates: their number there.
    """

    name: str
    images: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    backbone: str = "embedded"
    shots: tuple[int | None, ...] = (16,)
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    protocol: str = "few-shot"
    shares: tuple[float, ...] = DEFAULT_SHARES
    base_classes: tuple[str, ...] = ()
    target_images: tuple[str, ...] = ()
    descriptions: tuple[str | None, ...] = (None,)
    modality: str | None = None
    template: str | None = None
    epochs: int | None = None
    views: int | None = None
    compare_to: str | None = None
    metric: str = "balanced_accuracy"
    controlled: bool = False
    updates: int | None = None
    allow_leakage: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON form; `spec_from_record` reads it back."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        lines = [{each.name: getattr(line, each.name) for each in fields(line)} for line in self.candidates]
        return values | {"candidates": [line | {"options": dict(line["options"])} for line in lines]}

    @property
    def hash(self) -> str:
        """SHA-256 over all but the name."""
        return digest([json.dumps(self.as_dict() | {"name": ""}, sort_keys=True, default=list)])


def spec_from_record(values: Mapping[str, Any]) -> ExperimentSpec:
    """The experiment that `as_dict` gave, after a way through JSON."""
    lines = tuple(Candidate(**line) for line in values["candidates"])
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return ExperimentSpec(**plain | {"candidates": lines})


def parse_toml(text: str | bytes) -> dict[str, Any]:
    """The values of an experiment file. Raises InvalidInput, with the line, for text that is no TOML.

    A byte order mark, as Windows editors write it, is skipped.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return tomllib.loads(decoded.removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError:
        raise InvalidInput("An experiment file is text in UTF-8", "found other bytes", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("An experiment file in TOML", str(error), "Correct the file.") from None
    except RecursionError:
        raise InvalidInput(
            "An experiment file in TOML", "found lists or tables in each other, too deep to read", "Correct the file."
        ) from None
    except ValueError:
        # Python reads no integer of more than some thousand digits
        raise InvalidInput(
            "An experiment file in TOML", "found a number of more digits than can be read", "Correct the number."
        ) from None


def parse_spec(given: Mapping[str, Any]) -> ExperimentSpec:
    """An experiment from the values of a file, form or request. Raises InvalidOption and InvalidInput by name."""
    values = dict(given)
    options = values.pop("options", {})
    if not values:
        raise InvalidInput(
            "An experiment with 'name', 'images' and 'methods'", "found nothing in it", "Write these three first."
        )
    _check_keys(values)
    protocol = _word(values, "protocol", "few-shot", PROTOCOLS)
    spec = ExperimentSpec(
        name=_text(values, "name"),
        images=_texts(values, "images"),
        candidates=_candidates(values, options),
        backbone=_text(values, "backbone", "embedded"),
        shots=_shots(values, protocol),
        seeds=_seeds(values),
        protocol=protocol,
        shares=_shares(values),
        base_classes=_texts(values, "base_classes", ()),
        target_images=_texts(values, "target_images", ()),
        descriptions=_wordings(values),
        modality=_maybe(values, "modality"),
        template=_maybe(values, "template"),
        epochs=_number(values, "epochs"),
        views=_number(values, "views"),
        compare_to=_maybe(values, "compare_to"),
        metric=_word(values, "metric", "balanced_accuracy", tuple(PSEUDO_METRICS)),
        controlled=_flag(values, "controlled"),
        updates=_number(values, "updates"),
        allow_leakage=_flag(values, "allow_leakage"),
    )
    _check_together(spec)
    return spec


def _check_keys(values: Mapping[str, Any]) -> None:
    """Names every key that an experiment does not have, each with the nearest that it has."""
    known = KEYS | {"options"}
    unknown = sorted(set(values) - known)
    if unknown:
        named = [shown(key, LONGEST_KEY) for key in unknown[:MOST_KEYS_NAMED]]
        found = ", ".join(f"'{key}'" for key in named)
        remedies = dict.fromkeys(did_you_mean(key, known, f"Leave out '{key}'.") for key in named)
        raise InvalidOption(f"Keys of an experiment: {', '.join(sorted(known))}", f"found {found}", " ".join(remedies))


KEYS = {each.name for each in fields(ExperimentSpec)} - {"candidates"} | {"methods", "recipes", "variant"}


def _check_together(spec: ExperimentSpec) -> None:
    if spec.protocol == "cross-set" and not spec.target_images:
        raise InvalidOption("The protocol cross-set needs 'target_images'", "found none", "Name one set or more.")
    own = [name for name in spec.target_images if name in spec.images]
    if own:
        raise InvalidOption(
            "'target_images' are other sets than 'images'",
            f"'{own[0]}' is in both",
            "Its own test part is measured anyway.",
        )
    if spec.target_images and spec.protocol != "cross-set":
        raise InvalidOption("'target_images' belong to the protocol cross-set", f"found {spec.protocol}")
    if spec.base_classes and spec.protocol != "base-to-novel":
        raise InvalidOption("'base_classes' belong to the protocol base-to-novel", f"found {spec.protocol}")
    if spec.updates is not None and not spec.controlled:
        raise InvalidOption("'updates' belongs to a controlled comparison", "found it without 'controlled = true'")
    if spec.controlled and spec.epochs is not None:
        raise InvalidOption("A controlled comparison counts updates", "found 'epochs'", "Give 'updates' instead.")
    if spec.protocol == "realistic" and None in spec.shots:
        raise InvalidOption("The protocol realistic draws a number of images", "found 'all' shots", "Give numbers.")
    labels = [line.label for line in spec.candidates]
    twice = sorted(label for label, times in Counter(labels).items() if times > 1)
    if twice:
        raise InvalidOption("Each line of a comparison differs from the others", f"'{twice[0]}' is there twice")
    known = list(dict.fromkeys([*labels, baseline_method()]))
    if spec.compare_to is not None and spec.compare_to not in known:
        raise InvalidOption(f"'compare_to' is one of {', '.join(known)}", f"found '{spec.compare_to}'")


def _candidates(values: Mapping[str, Any], options: Any) -> tuple[Candidate, ...]:
    methods, recipes = _texts(values, "methods", ()), _texts(values, "recipes", ())
    if not methods and not recipes:
        raise InvalidInput("An experiment with 'methods' or 'recipes'", "found neither", "Name one or more.")
    if not isinstance(options, Mapping) or not all(isinstance(each, Mapping) for each in options.values()):
        raise InvalidOption("'options' is a table of each method's options", "found something else", "[options.METHOD]")
    stray = sorted(set(options) - set(methods))
    if stray:
        raise InvalidOption(f"Options of {', '.join(methods)}", f"found some of '{stray[0]}'", "Add it to 'methods'.")
    variant = _text(values, "variant", "default")
    lines = [line for name in methods for line in _lines(name, options.get(name, {}), variant)]
    lines += [Candidate(name.split("/")[0], {}, name, label=name) for name in recipes]
    return tuple(lines)


def _lines(method: str, options: Mapping[str, Any], variant: str) -> list[Candidate]:
    """One candidate for each combination of the values that are lists."""
    varied = [name for name, value in options.items() if isinstance(value, list)]
    fixed = {name: value for name, value in options.items() if name not in varied}
    empty = [name for name in varied if not options[name]]
    if empty:
        raise InvalidOption(f"Values of '{empty[0]}' of {method}", "found an empty list", "Name one or more.")
    if math.prod(len(options[name]) for name in varied) > MOST_CELLS:
        raise InvalidOption(
            f"At most {MOST_CELLS} lines of '{method}'", "found more combinations of values", "Vary fewer options."
        )
    found = []
    for combination in product(*(options[name] for name in varied)):
        own = dict(zip(varied, combination, strict=True))
        differs = ", ".join(f"{name} {value}" for name, value in own.items())
        label = f"{method} ({differs})" if differs else method
        found.append(Candidate(method, fixed | own, None, variant, label))
    return found


def _shots(values: Mapping[str, Any], protocol: str) -> tuple[int | None, ...]:
    if protocol == "full":
        if values.get("shots") is not None:
            raise InvalidOption("The protocol full takes shares of the labels", "found 'shots'", "Give 'shares'.")
        return (None,)
    given = values.get("shots")
    listed = [BASE_TO_NOVEL_SHOTS] if given is None else given if isinstance(given, list) else [given]
    found: list[int | None] = []
    for value in listed:
        if isinstance(value, str) and value.strip().lower() == "all":
            found.append(None)
        elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SHOTS:
            found.append(value)
        else:
            raise InvalidOption(
                f"'shots' are numbers from 1 to {MOST_SHOTS}, or \"all\"", f"found {value!r}", "For example [1, 4, 16]."
            )
    return _each_once(found, "shots")


def _seeds(values: Mapping[str, Any]) -> tuple[int, ...]:
    given = values.get("seeds", list(DEFAULT_SEEDS))
    listed = given if isinstance(given, list) else [given]
    wrong = [v for v in listed if not isinstance(v, int) or isinstance(v, bool) or not 0 <= v <= LARGEST_SEED]
    if wrong:
        raise InvalidOption(f"'seeds' lie between 0 and {LARGEST_SEED}", f"found {wrong[0]!r}", "Such as [1, 2, 3].")
    return _each_once(listed, "seeds")


def _shares(values: Mapping[str, Any]) -> tuple[float, ...]:
    """Label ratios: fractions, or percent where a number is above 1."""
    if "shares" in values and values.get("protocol") != "full":
        raise InvalidOption("'shares' belong to the protocol full", f"found {values.get('protocol', 'few-shot')}")
    given = values.get("shares", list(DEFAULT_SHARES))
    found = []
    for value in given if isinstance(given, list) else [given]:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # compared before it becomes a float, which an integer may be too large for
        share = float(value) / (100 if value > 1 else 1) if number and 0 < value <= 100 else 0.0
        if share == 0:
            raise InvalidOption("'shares' of the labels, above 0, at most 100 %", f"found {value!r}", "[10, 30, 100]")
        found.append(share)
    return _each_once(found, "shares")


def _wordings(values: Mapping[str, Any]) -> tuple[str | None, ...]:
    if values.get("descriptions") is None:
        return (None,)
    return tuple(None if name == "templates" else name for name in _texts(values, "descriptions"))


def _each_once(found: Sequence[Any], name: str) -> tuple[Any, ...]:
    if not found:
        remedy = "Name one or more." if name == "images" else "Leave it out for the default."
        raise InvalidOption(f"'{name}' holds one value or more", "found an empty list", remedy)
    twice = [value for value, times in Counter(found).items() if times > 1]
    if twice:
        raise InvalidOption(f"Each value of '{name}' once", f"{twice[0]} is there twice")
    return tuple(found)


def _text(values: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = values.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value.strip():
        found = f"found {value!r}" if value is not None else f"'{name}' is missing"
        raise InvalidInput(f"An experiment with '{name}', a text", found, "Give one.")
    return fit_text(value, f"'{name}'")


def _maybe(values: Mapping[str, Any], name: str) -> str | None:
    return None if values.get(name) in (None, "") else _text(values, name)


def _texts(values: Mapping[str, Any], name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    given = values.get(name)
    if given is None and default is not None:
        return default
    listed = given if isinstance(given, list | tuple) else [given]
    found = [_text({name: value}, name) for value in listed]
    return _each_once(found, name) if found or default is None else default


def _word(values: Mapping[str, Any], name: str, default: str, known: Sequence[str]) -> str:
    value = values.get(name, default)
    if value not in known:
        raise InvalidOption(f"'{name}' is one of {', '.join(known)}", f"found {value!r}", "Choose one of them.")
    return str(value)


def _number(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_SEED):
        raise InvalidOption(f"'{name}' is a number from 1", f"found {value!r}", "Leave it out for the default.")
    return value


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise InvalidOption(f"'{name}' is true or false", f"found {value!r}")
    return value
