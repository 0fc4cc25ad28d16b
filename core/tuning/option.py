"""Options: dataclass fields that carry their default, unit, bounds and help, checked when built."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Self

from core.errors import InvalidOption, did_you_mean
from core.text import fit_text, shown

LARGEST_WHOLE = 2**53
"""Beyond it a whole number written as JSON is another one after reading."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] | None = None,
    advanced: bool = False,
    slots: tuple[int, int] | None = None,
) -> Any:
    """A dataclass field that forms, the API schema, the command line and the docs are generated from.

    bounds: smallest and largest value, both allowed. advanced: folded away in forms. slots: of a sentence, the fewest
    and the most {} it may have for the class name.
    """
    metadata = {"help": help, "unit": unit, "bounds": bounds, "choices": choices, "advanced": advanced, "slots": slots}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """Base of everything with options. Values are checked when the object is built."""

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            _check(spec, getattr(self, spec.name))

    @classmethod
    def from_values(cls, values: Mapping[str, Any], owner: str = "") -> Self:
        """Build from names and values, which may be texts as typed on a command line or in a form.

        Raises InvalidOption for an unknown name (with the nearest known one) or a value outside its bounds.
        """
        specs = {spec.name: spec for spec in dataclasses.fields(cls)}
        built = {}
        for name, value in values.items():
            if name not in specs:
                raise unknown_option(name, list(specs), owner or cls.__name__)
            built[name] = _convert(cls, specs[name], value)
        return cls(**built)

    @classmethod
    def schema(cls) -> list[dict[str, Any]]:
        """One object an option: name, type, default, unit, bounds, choices, help, advanced."""
        hints = typing.get_type_hints(cls)
        rows = []
        for spec in dataclasses.fields(cls):
            kind, optional = _kind(hints[spec.name])
            rows.append(
                {"name": spec.name, "type": kind.__name__, "optional": optional, "default": spec.default}
                | {key: spec.metadata.get(key) for key in ("unit", "bounds", "choices", "help", "advanced")}
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Names and values, JSON-ready."""
        return dataclasses.asdict(self)


def unknown_option(name: str, known: list[str], owner: str) -> InvalidOption:
    """The error for a name that is no option, with the nearest known name."""
    remedy = did_you_mean(name, known, f"Its options are {', '.join(known) or 'none'}.")
    return InvalidOption(f"An option of {owner}", f"'{name}' is none", remedy)


def _kind(hint: Any) -> tuple[type, bool]:
    """The plain type of a hint such as `int | None`, and whether None is allowed."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], True
    return hint, False


def _convert(cls: type, spec: dataclasses.Field, value: Any) -> Any:
    kind, optional = _kind(typing.get_type_hints(cls)[spec.name])
    if value is None or (optional and isinstance(value, str) and value.strip().lower() in {"", "none"}):
        return None if optional else spec.default
    try:
        return _READERS[kind](value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidOption(
            f"'{spec.name}' takes a value of type {kind.__name__}",
            f"found {shown(repr(value), 60)}",
            f"{spec.metadata['help']}",
        ) from None


def _as_text(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise ValueError(value)
    return fit_text(str(value), "Text", may_be_empty=True)


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"true", "yes", "on", "1"}:
        return True
    if text in {"false", "no", "off", "0"}:
        return False
    raise ValueError(value)


def _as_int(value: Any) -> int:
    number = _as_float(value)
    if number != int(number) or abs(number) > LARGEST_WHOLE:
        raise ValueError(value)
    return int(number)


def _as_float(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


_READERS: dict[type, Callable[[Any], Any]] = {bool: _as_bool, int: _as_int, float: _as_float, str: _as_text}


def _check(spec: dataclasses.Field, value: Any) -> None:
    if spec.default is MISSING or value is None:
        return
    bounds, choices = spec.metadata.get("bounds"), spec.metadata.get("choices")
    unit = f" {spec.metadata['unit']}" if spec.metadata.get("unit") else ""
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise InvalidOption(
            f"'{spec.name}' lies between {bounds[0]:g} and {bounds[1]:g}{unit}",
            f"found {value:g}" if isinstance(value, (int, float)) else f"found {value!r}",
            "Choose a value inside the bounds.",
        )
    if choices and value not in choices:
        raise InvalidOption(f"'{spec.name}' is one of {', '.join(choices)}", f"found '{value}'", "Choose one of them.")
    slots = spec.metadata.get("slots")
    if slots and (not slots[0] <= value.count("{}") <= slots[1] or set("{}") & set(value.replace("{}", ""))):
        raise InvalidOption(
            f"'{spec.name}' is a sentence with {{}} where the class name goes",
            f"found '{value}'",
            "For example: a photo of a {}.",
        )
