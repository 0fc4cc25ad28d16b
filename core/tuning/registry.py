"""Methods by name. A file in `core/methods` is a method; nothing else lists them.

Naming them loads none: a method brings PyTorch with it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import core.methods
from core.errors import InvalidOption, did_you_mean

if TYPE_CHECKING:
    from core.tuning.contract import Method


def method_names() -> list[str]:
    """Names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(core.methods.__path__))


def method_file(name: str) -> Path:
    """The file of a method that there is."""
    return next(file for folder in core.methods.__path__ if (file := Path(folder) / f"{name}.py").is_file())


def check_method_name(name: str) -> None:
    """Raise InvalidOption with the nearest known name where there is no such method. Loads none."""
    names = method_names()
    if name not in names:
        remedy = did_you_mean(name, names, f"Known methods: {', '.join(names)}.")
        raise InvalidOption("The name of a method", f"'{name}' is none", remedy)


@cache
def get_method(name: str) -> type[Method]:
    """The method class of a name. Raises InvalidOption with the nearest known name."""
    from core.tuning.contract import Method

    check_method_name(name)
    module = importlib.import_module(f"core.methods.{name}")
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Method)]
    return next(v for v in found if v.__module__ == module.__name__)
