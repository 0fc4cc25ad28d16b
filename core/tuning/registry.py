"""Methods by name. A file in `core/methods` is a method; nothing else lists them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

import core.methods
from core.errors import InvalidOption
from core.tuning.contract import Method


def method_names() -> list[str]:
    """Names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(core.methods.__path__))


@cache
def get_method(name: str) -> type[Method]:
    """The method class of a name. Raises InvalidOption with the nearest known name."""
    names = method_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else f"Known methods: {', '.join(names)}."
        raise InvalidOption("The name of a method", f"'{name}' is none", remedy)
    module = importlib.import_module(f"core.methods.{name}")
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Method)]
    return next(v for v in found if v.__module__ == module.__name__)


def starter_method() -> str:
    """The method that is trained where none is named: the first of those that say to be offered first."""
    places = {name: starter.place for name in method_names() if (starter := get_method(name).starter)}
    return min(places, key=places.__getitem__)


def baseline_method() -> str:
    """The method that learns nothing, which every comparison holds the others against."""
    return next(name for name in method_names() if get_method(name).is_baseline)
